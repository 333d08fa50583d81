sudo ip link add veth0 type veth peer name ceth0
sudo ip link set veth0 up
sudo ip link set ceth0 up
sudo ip addr add 172.18.0.10/12 dev veth0
sudo ip addr add 172.18.0.20/12 dev ceth0
