# What comes to one network's gateway is answered in the other, from outside, inside and oneself.
ip netns add web
ip -n web link set lo up
ip netns add cli
ip -n cli link set lo up
ip netns add out
ip -n out link set lo up
echo 1 | tee /proc/sys/net/ipv4/ip_forward
ip link add front type bridge
ip addr add 10.6.1.1/24 dev front
ip link set front up
ip link add back type bridge
ip addr add 10.6.2.1/24 dev back
ip link set back up
ip link add clie0 type veth peer name e0 netns cli
ip link set clie0 master front up
ip -n cli addr add 10.6.1.10/24 dev e0
ip -n cli link set e0 up
ip link add webe0 type veth peer name e0 netns web
ip link set webe0 master back up
ip -n web addr add 10.6.2.10/24 dev e0
ip -n web link set e0 up
ip link add oute0 type veth peer name e0 netns out
ip link set oute0 master front up
ip -n out addr add 10.6.1.99/24 dev e0
ip -n out link set e0 up
ip -n cli route add default via 10.6.1.1
ip -n web route add default via 10.6.2.1
iptables -t nat -A PREROUTING -d 10.6.1.1 -p icmp -j DNAT --to-destination 10.6.2.10
iptables -t nat -A OUTPUT -d 10.6.1.200 -j DNAT --to-destination 10.6.2.10
iptables -t nat -A PREROUTING -d 10.0.2.15 -s 10.6.0.0/16 -j DNAT --to-destination 10.6.1.10
iptables -t nat -A POSTROUTING -d 10.6.1.10 -s 10.6.1.0/24 -j MASQUERADE
iptables -A FORWARD -i back -o front -m conntrack --ctstate NEW -j DROP
iptables -t nat -A PREROUTING -i back -d 10.6.2.1 -j DNAT --to-destination 10.6.1.99
ip -n cli addr add 10.6.1.200/32 dev e0
