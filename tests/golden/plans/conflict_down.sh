sudo ip netns delete net0
sudo ip netns delete net1
