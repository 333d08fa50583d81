# One network within another, on two bridges of one router; not all believe the same lengths.
echo 1 | tee /proc/sys/net/ipv4/ip_forward
ip link add big type bridge
ip addr add 10.0.0.1/16 dev big
ip link set big up
ip link add small type bridge
ip addr add 10.0.1.1/24 dev small
ip link set small up
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add d
ip -n d link set lo up
ip netns add e
ip -n e link set lo up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master big up
ip -n a addr add 10.0.0.10/16 dev e0
ip -n a link set e0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master big up
ip -n b addr add 10.0.1.20/16 dev e0
ip -n b link set e0 up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master small up
ip -n c addr add 10.0.1.30/24 dev e0
ip -n c link set e0 up
ip link add de0 type veth peer name e0 netns d
ip link set de0 master small up
ip -n d addr add 10.0.0.40/16 dev e0
ip -n d link set e0 up
ip link add ee0 type veth peer name e0 netns e
ip link set ee0 master big up
ip -n e addr add 10.0.0.50/24 dev e0
ip -n e link set e0 up
ip -n a route add default via 10.0.0.1
ip -n b route add default via 10.0.0.1
ip -n c route add default via 10.0.1.1
ip -n d route add default via 10.0.1.1
ip -n e route add 10.0.1.0/25 via 10.0.0.1
ip -n a route add 10.0.1.0/27 via 10.0.0.1
ip route add 10.0.1.20/32 dev big
