sudo ip netns add net0
sudo ip link add veth0 type veth peer name ceth0
sudo ip link set veth0 up
sudo ip addr add 172.18.0.10/12 dev veth0
sudo ip link set ceth0 netns net0
sudo ip netns exec net0 ip addr add 172.18.0.20/12 dev ceth0
sudo ip netns exec net0 ip link set ceth0 up
sudo ip netns exec net0 ip link set lo up
