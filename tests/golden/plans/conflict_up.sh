sudo ip netns add net0
sudo ip link add veth0 type veth peer name ceth0
sudo ip link set veth0 up
sudo ip addr add 172.18.0.100/12 dev veth0
sudo ip link set ceth0 netns net0
sudo ip netns exec net0 ip addr add 172.18.0.10/12 dev ceth0
sudo ip netns exec net0 ip link set ceth0 up
sudo ip netns exec net0 ip link set lo up
sudo ip netns add net1
sudo ip link add veth1 type veth peer name ceth1
sudo ip link set veth1 up
sudo ip addr add 172.18.0.101/12 dev veth1
sudo ip link set ceth1 netns net1
sudo ip netns exec net1 ip addr add 172.18.0.20/12 dev ceth1
sudo ip netns exec net1 ip link set ceth1 up
sudo ip netns exec net1 ip link set lo up
