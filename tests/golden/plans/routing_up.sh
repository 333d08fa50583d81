sudo ip link add name br0 type bridge
sudo ip address add 172.18.0.1/12 dev br0
sudo ip link set br0 up
sudo ip netns add net0
sudo ip link add veth0 type veth peer name ceth0
sudo ip link set veth0 up
sudo ip link set dev veth0 master br0
sudo ip link set ceth0 netns net0
sudo ip netns exec net0 ip address add 172.18.0.10/12 dev ceth0
sudo ip netns exec net0 ip link set ceth0 up
sudo ip netns exec net0 ip route add default via 172.18.0.1
sudo ip netns add net1
sudo ip link add veth1 type veth peer name ceth1
sudo ip link set veth1 up
sudo ip link set dev veth1 master br0
sudo ip link set ceth1 netns net1
sudo ip netns exec net1 ip address add 172.18.0.20/12 dev ceth1
sudo ip netns exec net1 ip link set ceth1 up
sudo ip netns exec net1 ip route add default via 172.18.0.1
echo 1 | sudo tee /proc/sys/net/ipv4/ip_forward
sudo iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE
