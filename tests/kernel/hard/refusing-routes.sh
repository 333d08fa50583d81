# Routes that refuse, in main and in tables of rules, with metrics, and one that only looks so.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add r
ip -n r link set lo up
ip -n a link add e0 type veth peer name w netns r
ip -n a addr add 10.21.1.10/24 dev e0
ip -n r addr add 10.21.1.1/24 dev w
ip -n a link set e0 up
ip -n r link set w up
ip -n b link add e0 type veth peer name e netns r
ip -n b addr add 10.21.2.10/24 dev e0
ip -n r addr add 10.21.2.1/24 dev e
ip -n b link set e0 up
ip -n r link set e up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
ip -n a route add default via 10.21.1.1
ip -n b route add default via 10.21.2.1
ip -n b addr add 10.21.9.1/32 dev lo
ip -n b addr add 10.21.9.2/32 dev lo
ip -n b addr add 10.21.9.3/32 dev lo
ip -n b addr add 10.21.9.4/32 dev lo
ip -n b addr add 10.21.9.5/32 dev lo
ip -n r route add 10.21.9.0/24 via 10.21.2.10
ip -n r route add blackhole 10.21.9.1/32
ip -n r route add unreachable 10.21.9.2/32
ip -n r route add prohibit 10.21.9.3/32 metric 50
ip -n r route add 10.21.9.3/32 via 10.21.2.10 metric 20
ip -n r route add throw 10.21.9.4/32 table 50
ip -n r route add blackhole default table 50
ip -n r rule add to 10.21.9.4/31 lookup 50 priority 100
ip -n a route add unreachable 10.21.9.0/29 metric 4000
ip -n b route add blackhole 10.21.1.0/25
ip -n b route add 10.21.1.1/32 via 10.21.2.1
