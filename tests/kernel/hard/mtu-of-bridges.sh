# packets 1400 whole
# A bridge that takes less than its ports: what passes it is not for it, and what is for it is.
ip netns add a
ip netns add b
ip link add br0 type bridge
ip addr add 10.30.0.1/24 dev br0
ip link set br0 up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master br0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master br0 up
ip -n a addr add 10.30.0.10/24 dev e0
ip -n a link set e0 up
ip -n b addr add 10.30.0.20/24 dev e0
ip -n b link set e0 up
ip link set br0 mtu 1000
