# Ways chosen by marks that rules set, with masks, and remembered for the way back.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add r
ip -n r link set lo up
ip netns add s
ip -n s link set lo up
ip netns add d
ip -n d link set lo up
ip -n a link add e0 type veth peer name la netns r
ip -n a addr add 10.24.1.10/24 dev e0
ip -n r addr add 10.24.1.1/24 dev la
ip -n a link set e0 up
ip -n r link set la up
ip -n b link add e0 type veth peer name lb netns r
ip -n b addr add 10.24.2.10/24 dev e0
ip -n r addr add 10.24.2.1/24 dev lb
ip -n b link set e0 up
ip -n r link set lb up
ip -n r link add u type veth peer name down0 netns s
ip -n r addr add 10.24.3.1/24 dev u
ip -n s addr add 10.24.3.2/24 dev down0
ip -n r link set u up
ip -n s link set down0 up
ip -n r link add v type veth peer name e0 netns d
ip -n r addr add 10.24.4.1/24 dev v
ip -n d addr add 10.24.4.2/24 dev e0
ip -n r link set v up
ip -n d link set e0 up
ip -n s addr add 10.24.9.9/32 dev lo
ip -n d addr add 10.24.9.9/32 dev lo
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
ip -n a route add default via 10.24.1.1
ip -n b route add default via 10.24.2.1
ip -n s route add default via 10.24.3.1
ip -n d route add 10.24.2.0/24 via 10.24.4.1
ip -n r route add 10.24.9.9/32 via 10.24.3.2
ip -n r route add default via 10.24.4.2 table 7
ip -n r rule add fwmark 7 lookup 7 priority 100
ip -n r rule add fwmark 0x10/0x10 blackhole priority 101
ip netns exec r iptables -t mangle -A PREROUTING -i la -j MARK --set-mark 7
ip netns exec r iptables -t mangle -A PREROUTING -i lb -d 10.24.3.2 -j MARK --set-mark 0x12
ip netns exec r iptables -t mangle -A PREROUTING -i lb -d 10.24.4.2 -j CONNMARK --set-mark 9
ip netns exec r iptables -t mangle -A POSTROUTING -o lb -m connmark --mark 9 -j DROP
ip netns exec r iptables -A FORWARD -m mark --mark 7 -d 10.24.2.10 -j DROP
ip netns exec b iptables -t mangle -A OUTPUT -d 10.24.1.0/24 -j MARK --set-mark 3
ip -n b rule add fwmark 3 prohibit
