# packets 2900
# Who may be cut is, on the way and at home, but never on a wire.
ip netns add a
ip -n a link set lo up
ip netns add r
ip -n r link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
ip -n a link add e0 type veth peer name w netns r
ip -n a addr add 10.8.0.10/24 dev e0
ip -n r addr add 10.8.0.1/24 dev w
ip -n a link set e0 up
ip -n r link set w up
ip -n r link add north type veth peer name e0 netns b
ip -n r addr add 10.8.1.1/24 dev north
ip -n b addr add 10.8.1.10/24 dev e0
ip -n r link set north up
ip -n b link set e0 up
ip -n r link add middle type veth peer name e0 netns c
ip -n r addr add 10.8.2.1/24 dev middle
ip -n c addr add 10.8.2.10/24 dev e0
ip -n r link set middle up
ip -n c link set e0 up
ip -n r link set north mtu 600
ip -n c link set e0 mtu 1000
ip -n a link set e0 mtu 3000
ip -n r link set w mtu 3000
ip -n a route add default via 10.8.0.1
ip -n b route add default via 10.8.1.1
ip -n c route add default via 10.8.2.1
ip -n a addr add fd08::10/64 dev e0
ip -n r addr add fd08::1/64 dev w
ip -n r addr add fd08:1::1/64 dev middle
ip -n c addr add fd08:1::10/64 dev e0
echo 1 | ip netns exec r tee /proc/sys/net/ipv6/conf/all/forwarding
ip -n a -6 route add default via fd08::1
ip -n c -6 route add default via fd08:1::1
ip netns exec r iptables -A FORWARD -d 10.8.2.10 -f -j DROP
