# Addresses of IPv6 that another had first, or of which nobody can tell.
sleep 0
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
ip link add x type bridge
ip addr add fd33:1::1/64 dev x nodad
ip link set x up
echo 1 | tee /proc/sys/net/ipv6/conf/all/forwarding
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master x up
ip -n a addr add fd33:1::10/64 dev e0 nodad
ip -n a link set e0 up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master x up
ip -n c addr add fd33:1::30/64 dev e0 nodad
ip -n c link set e0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master x up
ip -n b addr add fd33:1::10/64 dev e0
ip -n b link set e0 up
ip link add de0 type veth peer name e0 netns d
ip link set de0 master x up
ip -n d addr add fd33:1::10/64 dev e0
ip -n d addr add fd33:1::40/64 dev e0
ip -n d link set e0 up
ip -n r link add e0 type veth peer name e1 netns d
ip -n r addr add fd33:2::1/64 dev e0 nodad
ip -n d addr add fd33:2::2/64 dev e1 nodad
ip -n r link set e0 up
ip -n d link set e1 up
ip -n a route add default via fd33:1::1
ip -n b route add default via fd33:1::1
ip -n c route add default via fd33:1::1
ip -n d route add default via fd33:1::1
ip -n r route add default via fd33:2::2
echo 1 | ip netns exec d tee /proc/sys/net/ipv6/conf/all/forwarding
ip route add fd33:2::/64 via fd33:1::40
ip link add lone type bridge
ip link set lone up
ip addr add fd33:9::1/64 dev lone
