# A published address asked for by neighbours and by its own container, with and without hairpin.
ip netns add w
ip -n w link set lo up
ip netns add x
ip -n x link set lo up
ip netns add y
ip -n y link set lo up
echo 1 | tee /proc/sys/net/ipv4/ip_forward
ip link add lan type bridge
ip addr add 10.11.0.1/24 dev lan
ip link set lan up
ip link add we0 type veth peer name e0 netns w
ip link set we0 master lan up
ip -n w addr add 10.11.0.10/24 dev e0
ip -n w link set e0 up
ip link add xe0 type veth peer name e0 netns x
ip link set xe0 master lan up
ip -n x addr add 10.11.0.20/24 dev e0
ip -n x link set e0 up
ip link add ye0 type veth peer name e0 netns y
ip link set ye0 master lan up
ip -n y addr add 10.11.0.30/24 dev e0
ip -n y link set e0 up
ip -n w route add default via 10.11.0.1
ip -n x route add default via 10.11.0.1
ip -n y route add default via 10.11.0.1
iptables -t nat -A PREROUTING -d 10.0.2.15 -j DNAT --to-destination 10.11.0.10
iptables -t nat -A PREROUTING -d 10.11.0.1 -s 10.11.0.20 -j DNAT --to-destination 10.11.0.20
iptables -t nat -A POSTROUTING -s 10.11.0.0/24 -d 10.11.0.20 -j MASQUERADE
iptables -t nat -A POSTROUTING -s 10.11.0.30 -d 10.11.0.10 -j MASQUERADE
ip link set dev we0 type bridge_slave hairpin on
ip link set dev xe0 type bridge_slave hairpin on
ip -n y link set e0 arp off
