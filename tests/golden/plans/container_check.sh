sudo ip netns exec net0 ip route
sudo ping -c1 -W1 172.18.0.10
sudo ping -c1 -W1 172.18.0.20
sudo ip netns exec net0 ping -c1 -W1 172.18.0.10
sudo ip netns exec net0 ping -c1 -W1 172.18.0.20
sudo ip netns exec net0 ping -c1 -W1 10.0.2.15
