# IPv6 through routers: one forwards on one link only, one listens to advertisements, one is off.
ip netns add a
ip -n a link set lo up
ip netns add r
ip -n r link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add q
ip -n q link set lo up
ip -n a link add e0 type veth peer name w netns r
ip -n a addr add fd14:1::10/64 dev e0 nodad
ip -n r addr add fd14:1::1/64 dev w nodad
ip -n a link set e0 up
ip -n r link set w up
ip -n r link add e type veth peer name e0 netns b
ip -n r addr add fd14:2::1/64 dev e nodad
ip -n b addr add fd14:2::10/64 dev e0 nodad
ip -n r link set e up
ip -n b link set e0 up
ip -n q link add w type veth peer name e0 netns c
ip -n q addr add fd14:3::1/64 dev w nodad
ip -n c addr add fd14:3::10/64 dev e0 nodad
ip -n q link set w up
ip -n c link set e0 up
ip -n r link add s type veth peer name north netns q
ip -n r addr add fd14:9::1/64 dev s nodad
ip -n q addr add fd14:9::2/64 dev north nodad
ip -n r link set s up
ip -n q link set north up
echo 1 | ip netns exec r tee /proc/sys/net/ipv6/conf/all/forwarding
echo 0 | ip netns exec r tee /proc/sys/net/ipv6/conf/e/forwarding
echo 1 | ip netns exec q tee /proc/sys/net/ipv6/conf/w/forwarding
echo 0 | ip netns exec c tee /proc/sys/net/ipv6/conf/e0/accept_ra
echo 2 | ip netns exec a tee /proc/sys/net/ipv6/conf/all/accept_ra
ip -n a -6 route add default via fd14:1::1
ip -n b -6 route add default via fd14:2::1
ip -n c -6 route add default via fd14:3::1
ip -n q -6 route add default via fd14:9::1
ip -n r -6 route add fd14:3::/64 via fd14:9::2
ip -n r -6 route add unreachable fd14:2::99/128
ip -n b addr add fd14:2::77/128 dev lo
ip -n r -6 route add fd14:2::77/128 via fd14:2::10
ip netns exec q ip6tables -A FORWARD -p icmpv6 --icmpv6-type echo-request -d fd14:1::/64 -j REJECT
ip netns exec b ip6tables -A INPUT -p icmpv6 --icmpv6-type 135 -s fd14:2::1 -d fd14:2::77 -j DROP
