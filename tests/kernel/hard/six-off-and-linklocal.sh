# IPv6 switched off in places, next hops that are link-local, and neighbours that are told.
ip netns add a
ip -n a link set lo up
ip netns add r
ip -n r link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip -n a link add e0 type veth peer name w netns r
ip -n a addr add fd15:1::10/64 dev e0 nodad
ip -n r addr add fd15:1::1/64 dev w nodad
ip -n a link set e0 up
ip -n r link set w up
ip -n r link add e type veth peer name e0 netns b
ip -n r addr add fd15:2::1/64 dev e nodad
ip -n b addr add fd15:2::10/64 dev e0 nodad
ip -n r link set e up
ip -n b link set e0 up
ip -n r link add f type veth peer name e0 netns c
ip -n r addr add fd15:3::1/64 dev f nodad
ip -n c addr add fd15:3::10/64 dev e0 nodad
ip -n r link set f up
ip -n c link set e0 up
ip -n r addr add fe80::1/64 dev w nodad
ip -n r addr add fe80::2/64 dev e nodad
echo 1 | ip netns exec r tee /proc/sys/net/ipv6/conf/all/forwarding
ip -n a -6 route add default via fe80::1 dev e0
ip -n b -6 route add default via fe80::1 dev e0
echo 1 | ip netns exec c tee /proc/sys/net/ipv6/conf/e0/disable_ipv6
ip -n c addr add 10.15.0.10/24 dev e0
ip -n r addr add 10.15.0.1/24 dev f
ip -n b neigh add fd15:2::1 lladdr 02:00:00:00:00:77 nud permanent dev e0
ip -n r -6 route add fd15:1::/80 dev e metric 10
