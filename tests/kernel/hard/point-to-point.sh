# Networks of two and of one: /31, /32 with a peer, onlink next hops, and a /0.
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
ip -n a link add e0 type veth peer name ra netns r
ip -n a addr add 10.20.0.0/31 dev e0
ip -n r addr add 10.20.0.1/31 dev ra
ip -n a link set e0 up
ip -n r link set ra up
ip -n b link add e0 type veth peer name rb netns r
ip -n b addr add 10.20.1.2/32 dev e0
ip -n r addr add 10.20.1.1/32 dev rb
ip -n b link set e0 up
ip -n r link set rb up
ip -n c link add e0 type veth peer name rc netns r
ip -n r addr add 10.20.2.1/24 dev rc
ip -n c link set e0 up
ip -n r link set rc up
ip -n d link add e0 type veth peer name rd netns r
ip -n d addr add 10.20.3.10/0 dev e0
ip -n r addr add 10.20.3.1/24 dev rd
ip -n d link set e0 up
ip -n r link set rd up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
ip -n a route add default via 10.20.0.1
ip -n b route add 10.20.1.1/32 dev e0
ip -n b route add default via 10.20.1.1 dev e0
ip -n r route add 10.20.1.2/32 dev rb
ip -n c addr add 10.20.5.1 peer 10.20.2.1 dev e0
ip -n c route add default via 10.20.2.1
ip -n r route add 10.20.5.1/32 dev rc
ip -n r addr add 10.20.0.128/32 dev ra
ip -n d route add 10.20.0.0/24 via 10.20.3.1 onlink
ip -n d route add 10.20.1.0/24 via 10.20.7.7 dev e0 onlink
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/conf/rd/proxy_arp
