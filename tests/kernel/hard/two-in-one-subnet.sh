# Two interfaces of one container in one subnet, on two wires and on one.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add d
ip -n d link set lo up
ip link add x type bridge
ip addr add 10.19.0.1/24 dev x
ip link set x up
ip link add y type bridge
ip link set y up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master x up
ip -n a addr add 10.19.0.10/24 dev e0
ip -n a link set e0 up
ip link add ae1 type veth peer name e1 netns a
ip link set ae1 master y up
ip -n a addr add 10.19.0.11/24 dev e1
ip -n a link set e1 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master x up
ip -n b addr add 10.19.0.20/24 dev e0
ip -n b link set e0 up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master y up
ip -n c addr add 10.19.0.30/24 dev e0
ip -n c link set e0 up
ip link add de0 type veth peer name e0 netns d
ip link set de0 master x up
ip -n d addr add 10.19.0.40/24 dev e0
ip -n d link set e0 up
ip link add de1 type veth peer name e1 netns d
ip link set de1 master x up
ip -n d addr add 10.19.0.41/24 dev e1
ip -n d link set e1 up
echo 1 | ip netns exec d tee /proc/sys/net/ipv4/conf/all/arp_ignore
echo 1 | ip netns exec d tee /proc/sys/net/ipv4/conf/e0/rp_filter
echo 1 | ip netns exec d tee /proc/sys/net/ipv4/conf/e1/rp_filter
echo 1 | ip netns exec a tee /proc/sys/net/ipv4/conf/e1/rp_filter
ip -n a route add 10.19.0.30/32 dev e1
ip -n c addr add 10.19.0.31/25 dev e0
ip -n b addr add 10.19.0.10/32 dev lo
