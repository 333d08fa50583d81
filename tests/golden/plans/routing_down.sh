sudo iptables -t nat -D POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE
echo 0 | sudo tee /proc/sys/net/ipv4/ip_forward
sudo ip link delete br0
sudo ip netns delete net0
sudo ip netns delete net1
