# Addresses that lie on no wire: on lo, in the other subnet, with whole networks of their own.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add r
ip -n r link set lo up
ip -n a link add e0 type veth peer name w netns r
ip -n a addr add 10.18.1.10/24 dev e0
ip -n r addr add 10.18.1.1/24 dev w
ip -n a link set e0 up
ip -n r link set w up
ip -n r link add e type veth peer name e0 netns b
ip -n r addr add 10.18.2.1/24 dev e
ip -n b addr add 10.18.2.10/24 dev e0
ip -n r link set e up
ip -n b link set e0 up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
ip -n r addr add 10.18.77.1/24 dev lo
ip -n b addr add 10.18.2.200/24 dev lo
ip -n a addr add 172.20.0.1/32 dev lo
ip -n a addr add 10.18.2.66/32 dev e0
ip -n b addr add 172.20.0.2/32 dev e0
ip -n a route add default via 10.18.1.1
ip -n b route add default via 10.18.2.1
ip -n r route add 172.20.0.1/32 via 10.18.1.10
ip -n r route add 172.20.0.2/32 dev e
echo 2 | ip netns exec b tee /proc/sys/net/ipv4/conf/e0/arp_ignore
ip -n r addr add 10.18.1.0/31 dev e
