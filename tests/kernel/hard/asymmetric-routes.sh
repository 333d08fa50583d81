# There by one router, back by the other; one of them asks where packets come from.
ip netns add a
ip -n a link set lo up
ip netns add r
ip -n r link set lo up
ip netns add s
ip -n s link set lo up
ip netns add b
ip -n b link set lo up
ip -n a link add e1 type veth peer name w netns r
ip -n a addr add 10.1.1.2/24 dev e1
ip -n r addr add 10.1.1.1/24 dev w
ip -n a link set e1 up
ip -n r link set w up
ip -n a link add e2 type veth peer name w netns s
ip -n a addr add 10.1.2.2/24 dev e2
ip -n s addr add 10.1.2.1/24 dev w
ip -n a link set e2 up
ip -n s link set w up
ip -n r link add e type veth peer name w1 netns b
ip -n r addr add 10.2.1.1/24 dev e
ip -n b addr add 10.2.1.2/24 dev w1
ip -n r link set e up
ip -n b link set w1 up
ip -n s link add e type veth peer name w2 netns b
ip -n s addr add 10.2.2.1/24 dev e
ip -n b addr add 10.2.2.2/24 dev w2
ip -n s link set e up
ip -n b link set w2 up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec s tee /proc/sys/net/ipv4/ip_forward
ip -n a addr add 10.9.0.1/32 dev lo
ip -n b addr add 10.9.0.2/32 dev lo
ip -n a route add 10.9.0.2/32 via 10.1.1.1 src 10.9.0.1
ip -n a route add 10.2.0.0/16 via 10.1.1.1
ip -n b route add 10.9.0.1/32 via 10.2.2.1 src 10.9.0.2
ip -n b route add 10.1.0.0/16 via 10.2.2.1
ip -n r route add 10.9.0.2/32 via 10.2.1.2
ip -n r route add 10.2.2.0/24 via 10.2.1.2
ip -n s route add 10.9.0.1/32 via 10.1.2.2
ip -n s route add 10.1.1.0/24 via 10.1.2.2
ip -n s route add 10.2.1.0/24 via 10.2.2.2
echo 1 | ip netns exec b tee /proc/sys/net/ipv4/conf/w2/rp_filter
echo 0 | ip netns exec a tee /proc/sys/net/ipv4/conf/all/rp_filter
echo 1 | ip netns exec a tee /proc/sys/net/ipv4/conf/e2/rp_filter
