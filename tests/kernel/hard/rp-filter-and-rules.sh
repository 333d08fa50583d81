# Whose source may come by which link, where rules and several next hops lead back.
ip netns add m
ip -n m link set lo up
ip netns add p
ip -n p link set lo up
ip netns add q
ip -n q link set lo up
ip netns add n
ip -n n link set lo up
ip -n m link add e1 type veth peer name e0 netns p
ip -n m addr add 10.37.1.5/24 dev e1
ip -n p addr add 10.37.1.1/24 dev e0
ip -n m link set e1 up
ip -n p link set e0 up
ip -n m link add e2 type veth peer name e0 netns q
ip -n m addr add 10.37.2.5/24 dev e2
ip -n q addr add 10.37.2.1/24 dev e0
ip -n m link set e2 up
ip -n q link set e0 up
ip -n n link add e1 type veth peer name e1 netns p
ip -n n addr add 10.37.3.5/24 dev e1
ip -n p addr add 10.37.3.1/24 dev e1
ip -n n link set e1 up
ip -n p link set e1 up
ip -n n link add e2 type veth peer name e1 netns q
ip -n n addr add 10.37.4.5/24 dev e2
ip -n q addr add 10.37.4.1/24 dev e1
ip -n n link set e2 up
ip -n q link set e1 up
ip -n p addr add 10.38.0.1/32 dev lo
ip -n q addr add 10.38.0.2/32 dev lo
ip -n m route add default via 10.37.1.1
ip -n m route add default via 10.37.2.1 table 2
ip -n m rule add from 10.37.2.5 lookup 2
ip -n p route add 10.37.2.0/24 via 10.37.1.5
ip -n q route add 10.37.1.0/24 via 10.37.2.5
ip -n q route add 10.37.3.0/24 via 10.37.4.5
ip -n p route add 10.37.4.0/24 via 10.37.3.5
ip -n n route add default nexthop via 10.37.3.1 nexthop via 10.37.4.1
echo 1 | ip netns exec m tee /proc/sys/net/ipv4/conf/all/rp_filter
echo 1 | ip netns exec n tee /proc/sys/net/ipv4/conf/all/rp_filter
