# packets 1400 whole
# Who may not be cut finds every kind of narrow place: link, route, port, receiver and cable.
ip netns add a
ip -n a link set lo up
ip netns add r
ip -n r link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add d
ip -n d link set lo up
echo 1 | tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
ip link add lan type bridge
ip addr add 10.7.0.1/24 dev lan
ip link set lan up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master lan up
ip -n a addr add 10.7.0.10/24 dev e0
ip -n a link set e0 up
ip link add re0 type veth peer name e0 netns r
ip link set re0 master lan up
ip -n r addr add 10.7.0.2/24 dev e0
ip -n r link set e0 up
ip link add de0 type veth peer name e0 netns d
ip link set de0 master lan up
ip -n d addr add 10.7.0.40/24 dev e0
ip -n d link set e0 up
ip -n r link add north type veth peer name e0 netns b
ip -n r addr add 10.7.1.1/24 dev north
ip -n b addr add 10.7.1.10/24 dev e0
ip -n r link set north up
ip -n b link set e0 up
ip -n r link add middle type veth peer name e0 netns c
ip -n r addr add 10.7.2.1/24 dev middle
ip -n c addr add 10.7.2.10/24 dev e0
ip -n r link set middle up
ip -n c link set e0 up
ip -n r link set north mtu 1300
ip -n c link set e0 mtu 1350
ip -n d link set e0 mtu 1200
ip -n a route add default via 10.7.0.2
ip -n d route add default via 10.7.0.2
ip -n b route add default via 10.7.1.1
ip -n c route add default via 10.7.2.1
ip route add 10.7.1.0/24 via 10.7.0.2 mtu 1250
ip route add 10.7.2.0/24 via 10.7.0.2
ip -n a route add 10.7.2.10/32 via 10.7.0.2 mtu lock 1000
