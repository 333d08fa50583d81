# Packets whose TTL or hop limit is over on a way of three routers, there or back.
ip netns add a
ip -n a link set lo up
ip netns add r
ip -n r link set lo up
ip netns add s
ip -n s link set lo up
ip netns add t
ip -n t link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip -n a link add e0 type veth peer name la netns r
ip -n a addr add 10.31.1.10/24 dev e0
ip -n r addr add 10.31.1.1/24 dev la
ip -n a addr add fd31:1::10/64 dev e0 nodad
ip -n r addr add fd31:1::1/64 dev la nodad
ip -n a link set e0 up
ip -n r link set la up
ip -n r link add u0 type veth peer name w0 netns s
ip -n r addr add 10.31.2.1/24 dev u0
ip -n s addr add 10.31.2.2/24 dev w0
ip -n r addr add fd31:2::1/64 dev u0 nodad
ip -n s addr add fd31:2::2/64 dev w0 nodad
ip -n r link set u0 up
ip -n s link set w0 up
ip -n s link add u0 type veth peer name w0 netns t
ip -n s addr add 10.31.3.1/24 dev u0
ip -n t addr add 10.31.3.2/24 dev w0
ip -n s addr add fd31:3::1/64 dev u0 nodad
ip -n t addr add fd31:3::2/64 dev w0 nodad
ip -n s link set u0 up
ip -n t link set w0 up
ip -n t link add lb type veth peer name e0 netns b
ip -n t addr add 10.31.4.1/24 dev lb
ip -n b addr add 10.31.4.10/24 dev e0
ip -n t addr add fd31:4::1/64 dev lb nodad
ip -n b addr add fd31:4::10/64 dev e0 nodad
ip -n t link set lb up
ip -n b link set e0 up
ip -n t link add lc type veth peer name e0 netns c
ip -n t addr add 10.31.5.1/24 dev lc
ip -n c addr add 10.31.5.10/24 dev e0
ip -n t addr add fd31:5::1/64 dev lc nodad
ip -n c addr add fd31:5::10/64 dev e0 nodad
ip -n t link set lc up
ip -n c link set e0 up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec r tee /proc/sys/net/ipv6/conf/all/forwarding
echo 1 | ip netns exec s tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec s tee /proc/sys/net/ipv6/conf/all/forwarding
echo 1 | ip netns exec t tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec t tee /proc/sys/net/ipv6/conf/all/forwarding
ip -n a route add default via 10.31.1.1
ip -n b route add default via 10.31.4.1
ip -n c route add default via 10.31.5.1
ip -n r route add default via 10.31.2.2
ip -n t route add default via 10.31.3.1
ip -n a route add default via fd31:1::1
ip -n b route add default via fd31:4::1
ip -n c route add default via fd31:5::1
ip -n r route add default via fd31:2::2
ip -n t route add default via fd31:3::1
ip -n s route add 10.31.1.0/24 via 10.31.2.1
ip -n s route add default via 10.31.3.2
ip -n s route add fd31:1::/64 via fd31:2::1
ip -n s route add default via fd31:3::2
echo 3 | ip netns exec a tee /proc/sys/net/ipv4/ip_default_ttl
echo 2 | ip netns exec b tee /proc/sys/net/ipv4/ip_default_ttl
echo 1 | ip netns exec s tee /proc/sys/net/ipv4/ip_default_ttl
echo 3 | ip netns exec a tee /proc/sys/net/ipv6/conf/e0/hop_limit
echo 1 | ip netns exec b tee /proc/sys/net/ipv6/conf/all/hop_limit
echo 2 | ip netns exec c tee /proc/sys/net/ipv6/conf/e0/hop_limit
echo 1 | ip netns exec s tee /proc/sys/net/ipv6/conf/u0/hop_limit
ip netns exec c iptables -t mangle -A OUTPUT -d 10.31.1.0/24 -j TTL --ttl-set 3
ip netns exec t iptables -t mangle -A PREROUTING -i lc -d 10.31.2.0/24 -j TTL --ttl-dec 62
