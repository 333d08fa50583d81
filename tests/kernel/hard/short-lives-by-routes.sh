# Routes that say over how many routers a packet goes; a ring of routers; ways for some packets alone.
ip netns add a
ip -n a link set lo up
ip netns add r
ip -n r link set lo up
ip netns add s
ip -n s link set lo up
ip netns add b
ip -n b link set lo up
ip -n a link add e0 type veth peer name la netns r
ip -n a addr add 10.32.1.10/24 dev e0
ip -n r addr add 10.32.1.1/24 dev la
ip -n a addr add fd32:1::10/64 dev e0 nodad
ip -n r addr add fd32:1::1/64 dev la nodad
ip -n a link set e0 up
ip -n r link set la up
ip -n r link add u0 type veth peer name w0 netns s
ip -n r addr add 10.32.2.1/24 dev u0
ip -n s addr add 10.32.2.2/24 dev w0
ip -n r addr add fd32:2::1/64 dev u0 nodad
ip -n s addr add fd32:2::2/64 dev w0 nodad
ip -n r link set u0 up
ip -n s link set w0 up
ip -n s link add lb type veth peer name e0 netns b
ip -n s addr add 10.32.4.1/24 dev lb
ip -n b addr add 10.32.4.10/24 dev e0
ip -n s addr add fd32:4::1/64 dev lb nodad
ip -n b addr add fd32:4::10/64 dev e0 nodad
ip -n s link set lb up
ip -n b link set e0 up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec r tee /proc/sys/net/ipv6/conf/all/forwarding
echo 1 | ip netns exec s tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec s tee /proc/sys/net/ipv6/conf/all/forwarding
ip -n a route add default via 10.32.1.1 hoplimit 2
ip -n a route add 10.32.2.0/24 via 10.32.1.1
ip -n b route add default via 10.32.4.1
ip -n b route add 10.32.1.0/24 via 10.32.4.1 hoplimit 1
ip -n r route add default via 10.32.2.2
ip -n s route add default via 10.32.2.1
ip -n a -6 route add default via fd32:1::1 hoplimit 1
ip -n b -6 route add default via fd32:4::1 hoplimit 2
ip -n r -6 route add default via fd32:2::2
ip -n s -6 route add default via fd32:2::1
ip -n b addr add 10.32.99.1/32 dev lo
ip -n b addr add fd32:99::1/128 dev lo
ip -n b addr add 10.32.77.1/32 dev lo
ip -n s route add 10.32.77.1/32 via 10.32.4.10 tos 0x10
ip -n r route add local 10.32.66.0/24 dev lo
ip -n b addr add 10.32.66.6/32 dev lo
ip -n s route add 10.32.66.6/32 via 10.32.4.10
