sudo ip route
sudo ip route get 172.18.0.20
sudo ip netns exec net0 ping -c1 -W1 172.18.0.100
sudo ip netns exec net0 ping -c1 -W1 172.18.0.101
sudo ping -c1 -W1 172.18.0.10
sudo ip netns exec net0 ping -c1 -W1 172.18.0.20
sudo ip netns exec net1 ping -c1 -W1 172.18.0.100
sudo ip netns exec net1 ping -c1 -W1 172.18.0.101
sudo ping -c1 -W1 172.18.0.20
sudo ip netns exec net0 ping -c1 -W1 10.0.2.15
sudo ip neigh
