sudo ip netns delete net0
