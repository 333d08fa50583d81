# INPUT and OUTPUT and FORWARD, policies and chains of their own, in three tables.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
echo 1 | tee /proc/sys/net/ipv4/ip_forward
ip link add x type bridge
ip addr add 10.22.1.1/24 dev x
ip link set x up
ip link add y type bridge
ip addr add 10.22.2.1/24 dev y
ip link set y up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master x up
ip -n a addr add 10.22.1.10/24 dev e0
ip -n a link set e0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master y up
ip -n b addr add 10.22.2.10/24 dev e0
ip -n b link set e0 up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master x up
ip -n c addr add 10.22.1.30/24 dev e0
ip -n c link set e0 up
ip -n a route add default via 10.22.1.1
ip -n b route add default via 10.22.2.1
ip -n c route add default via 10.22.1.1
ip netns exec a iptables -P INPUT DROP
ip netns exec a iptables -N ASK
ip netns exec a iptables -A ASK -s 10.22.2.0/24 -j RETURN
ip netns exec a iptables -A ASK -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
ip netns exec a iptables -A ASK -i lo -j ACCEPT
ip netns exec a iptables -A ASK -s 10.22.1.30 -p icmp --icmp-type echo-request -j ACCEPT
ip netns exec a iptables -A INPUT -j ASK
ip netns exec a iptables -A INPUT -s 10.22.2.10 -m comment --comment is-known -j ACCEPT
ip netns exec b iptables -A OUTPUT -d 10.22.1.30 -j REJECT
ip netns exec b iptables -A OUTPUT ! -o lo -d 10.22.2.1 -m conntrack --ctstate NEW -j DROP
ip netns exec c iptables -t mangle -A INPUT ! -s 10.22.1.0/24 -j DROP
ip netns exec c iptables -t raw -A OUTPUT -d 10.22.2.10 -j DROP
iptables -P FORWARD DROP
iptables -A FORWARD -i x -o y -j ACCEPT
iptables -A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT
iptables -t mangle -A FORWARD -i y -s 10.22.2.10 -d 10.22.1.10 -m iprange --dst-range 10.22.1.1-10.22.1.9 -j DROP
iptables -A INPUT -i x -d 10.22.2.1 -j DROP
