# What a container itself sends is led elsewhere: OUTPUT, REDIRECT, SNAT and NETMAP.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
echo 1 | tee /proc/sys/net/ipv4/ip_forward
ip link add x type bridge
ip addr add 10.29.1.1/24 dev x
ip link set x up
ip link add y type bridge
ip addr add 10.29.2.1/24 dev y
ip link set y up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master x up
ip -n a addr add 10.29.1.10/24 dev e0
ip -n a link set e0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master y up
ip -n b addr add 10.29.2.10/24 dev e0
ip -n b link set e0 up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master y up
ip -n c addr add 10.29.2.30/24 dev e0
ip -n c link set e0 up
ip -n a route add default via 10.29.1.1
ip -n b route add default via 10.29.2.1
ip -n c route add default via 10.29.2.1
ip netns exec a iptables -t nat -A OUTPUT -d 10.29.2.30 -j DNAT --to-destination 10.29.2.10
ip netns exec a iptables -t nat -A OUTPUT -d 10.29.1.1 -j REDIRECT
ip netns exec b iptables -t nat -A PREROUTING -d 10.29.2.10 -s 10.29.2.30 -j REDIRECT
ip netns exec b iptables -t nat -A POSTROUTING -d 10.29.1.0/24 -j SNAT --to-source 10.29.2.99
ip netns exec c iptables -t nat -A INPUT -s 10.29.1.10 -j SNAT --to-source 10.29.2.200
iptables -t nat -A PREROUTING -d 10.29.9.0/24 -j NETMAP --to 10.29.2.0/24
iptables -t nat -A PREROUTING -i y -d 10.29.1.1 -j DNAT --to-destination 10.29.2.1
iptables -t nat -A POSTROUTING -s 10.29.1.10 -o y -j SNAT --to-source 10.29.2.1
ip -n b addr add 10.29.9.10/32 dev lo
ip -n c addr add 10.29.2.99/32 dev e0
