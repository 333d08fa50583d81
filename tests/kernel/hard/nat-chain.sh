# A translation behind a translation, by chains of their own that return, go to and accept.
ip netns add home
ip -n home link set lo up
ip netns add isp
ip -n isp link set lo up
ip netns add srv
ip -n srv link set lo up
ip netns add peer
ip -n peer link set lo up
echo 1 | tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec isp tee /proc/sys/net/ipv4/ip_forward
ip link add lan type bridge
ip addr add 192.168.1.1/24 dev lan
ip link set lan up
ip link add homee0 type veth peer name e0 netns home
ip link set homee0 master lan up
ip -n home addr add 192.168.1.10/24 dev e0
ip -n home link set e0 up
ip link add peere0 type veth peer name e0 netns peer
ip link set peere0 master lan up
ip -n peer addr add 192.168.1.20/24 dev e0
ip -n peer link set e0 up
ip -n home route add default via 192.168.1.1
ip -n peer route add default via 192.168.1.1
ip link add wan type veth peer name in netns isp
ip addr add 100.64.0.2/24 dev wan
ip -n isp addr add 100.64.0.1/24 dev in
ip link set wan up
ip -n isp link set in up
ip -n isp link add out type veth peer name e0 netns srv
ip -n isp addr add 203.0.113.1/24 dev out
ip -n srv addr add 203.0.113.80/24 dev e0
ip -n isp link set out up
ip -n srv link set e0 up
ip route add 203.0.113.0/24 via 100.64.0.1
iptables -t nat -N OUT
iptables -t nat -A OUT -d 192.168.1.0/24 -j RETURN
iptables -t nat -A OUT -s 192.168.1.20 -j ACCEPT
iptables -t nat -A OUT -j MASQUERADE
iptables -t nat -A POSTROUTING -s 192.168.1.0/24 -j OUT
ip netns exec isp iptables -t nat -A POSTROUTING -s 100.64.0.0/24 -o out -j SNAT --to-source 203.0.113.2
ip -n isp addr add 203.0.113.2/32 dev out
ip netns exec isp iptables -t nat -N IN
ip netns exec isp iptables -t nat -A PREROUTING -i out -g IN
ip netns exec isp iptables -t nat -A PREROUTING -i out -j ACCEPT
ip netns exec isp iptables -t nat -A IN -d 203.0.113.1 -j DNAT --to-destination 100.64.0.2
iptables -t nat -A PREROUTING -i wan -d 100.64.0.2 -j DNAT --to-destination 192.168.1.10
