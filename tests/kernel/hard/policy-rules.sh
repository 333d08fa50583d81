# Two ways out, chosen by who asks, by where it came in, and by what main does not say.
ip netns add c
ip -n c link set lo up
ip netns add d
ip -n d link set lo up
ip netns add up1
ip -n up1 link set lo up
ip netns add up2
ip -n up2 link set lo up
echo 1 | tee /proc/sys/net/ipv4/ip_forward
ip link add lan type bridge
ip addr add 10.3.0.1/24 dev lan
ip link set lan up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master lan up
ip -n c addr add 10.3.0.10/24 dev e0
ip -n c link set e0 up
ip link add de0 type veth peer name e0 netns d
ip link set de0 master lan up
ip -n d addr add 10.3.0.20/24 dev e0
ip -n d link set e0 up
ip -n c route add default via 10.3.0.1
ip -n d route add default via 10.3.0.1
ip link add w1 type veth peer name e netns up1
ip addr add 10.4.1.2/24 dev w1
ip -n up1 addr add 10.4.1.1/24 dev e
ip link set w1 up
ip -n up1 link set e up
ip link add w2 type veth peer name e netns up2
ip addr add 10.4.2.2/24 dev w2
ip -n up2 addr add 10.4.2.1/24 dev e
ip link set w2 up
ip -n up2 link set e up
ip -n up1 addr add 9.9.9.9/32 dev lo
ip -n up2 addr add 9.9.9.9/32 dev lo
ip -n up2 addr add 8.8.4.4/32 dev lo
ip -n up1 route add default via 10.4.1.2
ip -n up2 route add 10.3.0.20/32 via 10.4.2.2
ip -n up2 route add 10.4.1.0/24 via 10.4.2.2
ip route add default via 10.4.1.1 dev w1 table 101
ip route add default via 10.4.2.1 dev w2 table 102
ip rule add from 10.3.0.10 lookup 101 priority 1000
ip rule add from 10.3.0.20 iif lan lookup 102 priority 1001
ip rule add to 8.8.4.4 lookup 102 priority 900
ip rule add lookup main suppress_prefixlength 0 priority 800
ip rule add iif w2 to 10.4.1.0/24 prohibit priority 700
ip -n d rule add from 10.3.0.20 to 9.9.9.9 blackhole priority 50
ip -n d rule add oif lo lookup main priority 60
