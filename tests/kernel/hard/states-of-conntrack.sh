# A way back that the firewall has not seen begin, and packets that nobody remembers.
ip netns add a
ip -n a link set lo up
ip netns add r
ip -n r link set lo up
ip netns add s
ip -n s link set lo up
ip netns add b
ip -n b link set lo up
ip -n a link add e1 type veth peer name w netns r
ip -n a addr add 10.23.1.2/24 dev e1
ip -n r addr add 10.23.1.1/24 dev w
ip -n a link set e1 up
ip -n r link set w up
ip -n a link add e2 type veth peer name w netns s
ip -n a addr add 10.23.2.2/24 dev e2
ip -n s addr add 10.23.2.1/24 dev w
ip -n a link set e2 up
ip -n s link set w up
ip -n r link add e type veth peer name w1 netns b
ip -n r addr add 10.23.3.1/24 dev e
ip -n b addr add 10.23.3.2/24 dev w1
ip -n r link set e up
ip -n b link set w1 up
ip -n s link add e type veth peer name w2 netns b
ip -n s addr add 10.23.4.1/24 dev e
ip -n b addr add 10.23.4.2/24 dev w2
ip -n s link set e up
ip -n b link set w2 up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec s tee /proc/sys/net/ipv4/ip_forward
ip -n b addr add 10.23.9.1/32 dev lo
ip -n b addr add 10.23.9.2/32 dev lo
ip -n a route add 10.23.9.0/24 via 10.23.1.1
ip -n r route add 10.23.9.0/24 via 10.23.3.2
ip -n s route add 10.23.9.0/24 via 10.23.4.2
ip -n b route add 10.23.1.0/24 via 10.23.4.1
ip -n s route add 10.23.1.0/24 via 10.23.2.2
ip -n b route add 10.23.2.0/24 via 10.23.3.1
ip -n a route add 10.23.4.0/24 via 10.23.2.1
ip -n a route add 10.23.3.0/24 via 10.23.1.1
ip -n r route add 10.23.2.0/24 via 10.23.1.2
ip netns exec s iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP
ip netns exec r iptables -A FORWARD -m conntrack --ctstate UNTRACKED -s 10.23.9.2 -j DROP
ip netns exec r iptables -t raw -A PREROUTING -d 10.23.9.2 -j CT --notrack
ip netns exec a iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
ip netns exec a iptables -A INPUT -m conntrack --ctstate NEW -i e2 -j DROP
ip netns exec b iptables -t raw -A PREROUTING -d 10.23.3.2 -j NOTRACK
ip netns exec b iptables -A INPUT -m conntrack --ctstate UNTRACKED -j DROP
