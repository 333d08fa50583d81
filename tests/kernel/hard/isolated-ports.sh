# Ports that do not speak with each other, over two bridges, and a router that helps them to.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add d
ip -n d link set lo up
ip netns add r
ip -n r link set lo up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
ip link add one type bridge
ip link set one up
ip link add two type bridge
ip link set two up
ip link add tie1 type veth peer name tie2
ip link set tie1 master one up
ip link set tie2 master two up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master one up
ip -n a addr add 10.13.0.10/24 dev e0
ip -n a link set e0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master one up
ip -n b addr add 10.13.0.20/24 dev e0
ip -n b link set e0 up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master two up
ip -n c addr add 10.13.0.30/24 dev e0
ip -n c link set e0 up
ip link add de0 type veth peer name e0 netns d
ip link set de0 master two up
ip -n d addr add 10.13.0.40/24 dev e0
ip -n d link set e0 up
ip link add re0 type veth peer name e0 netns r
ip link set re0 master one up
ip -n r addr add 10.13.0.1/24 dev e0
ip -n r link set e0 up
ip link set dev ae0 type bridge_slave isolated on
ip link set dev be0 type bridge_slave isolated on
ip link set dev tie2 type bridge_slave isolated on
ip link set dev de0 type bridge_slave isolated on
ip -n a route add 10.13.0.20/32 via 10.13.0.1
ip -n b route add 10.13.0.10/32 via 10.13.0.1
echo 0 | ip netns exec r tee /proc/sys/net/ipv4/conf/all/send_redirects
echo 0 | ip netns exec r tee /proc/sys/net/ipv4/conf/e0/send_redirects
