# Strict here, loose there, and off: whose source may come by which link.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add r
ip -n r link set lo up
ip -n a link add e0 type veth peer name la netns r
ip -n a addr add 10.10.1.10/24 dev e0
ip -n r addr add 10.10.1.1/24 dev la
ip -n a link set e0 up
ip -n r link set la up
ip -n b link add e0 type veth peer name lb netns r
ip -n b addr add 10.10.2.10/24 dev e0
ip -n r addr add 10.10.2.1/24 dev lb
ip -n b link set e0 up
ip -n r link set lb up
ip -n c link add e0 type veth peer name lc netns r
ip -n c addr add 10.10.3.10/24 dev e0
ip -n r addr add 10.10.3.1/24 dev lc
ip -n c link set e0 up
ip -n r link set lc up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/conf/la/rp_filter
echo 2 | ip netns exec r tee /proc/sys/net/ipv4/conf/lb/rp_filter
ip -n a addr add 10.10.3.77/32 dev lo
ip -n b addr add 10.10.3.78/32 dev lo
ip -n b addr add 172.31.0.1/32 dev lo
ip -n a route add 10.10.2.0/24 via 10.10.1.1 src 10.10.3.77
ip -n a route add 10.10.3.0/24 via 10.10.1.1
ip -n b route add 10.10.1.0/24 via 10.10.2.1 src 10.10.3.78
ip -n b route add 10.10.3.0/24 via 10.10.2.1 src 172.31.0.1
ip -n c route add default via 10.10.3.1
ip -n r route add 10.10.3.77/32 via 10.10.1.10
ip -n r route add 10.10.3.78/32 via 10.10.2.10
ip -n r route add unreachable 172.31.0.0/16
echo 1 | ip netns exec c tee /proc/sys/net/ipv4/conf/all/rp_filter
echo 2 | ip netns exec c tee /proc/sys/net/ipv4/conf/default/rp_filter
