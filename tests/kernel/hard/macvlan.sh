# What is made on one end of a cable: sisters of each mode, in other namespaces and in the host's.
ip netns add r
ip -n r link set lo up
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add p
ip -n p link set lo up
ip netns add v
ip -n v link set lo up
ip netns add far
ip -n far link set lo up
ip link add base type veth peer name over netns r
ip addr add 10.16.0.1/24 dev base
ip -n r addr add 10.16.0.254/24 dev over
ip link set base up
ip -n r link set over up
ip link add m1 link base type macvlan mode bridge
ip link set m1 netns a
ip link add m2 link base type macvlan mode bridge
ip link set m2 netns b
ip link add m3 link base type macvlan mode private
ip link set m3 netns p
ip link add m4 link base type macvlan mode vepa
ip link set m4 netns v
ip -n a addr add 10.16.0.10/24 dev m1
ip -n b addr add 10.16.0.20/24 dev m2
ip -n p addr add 10.16.0.30/24 dev m3
ip -n v addr add 10.16.0.40/24 dev m4
ip -n a link set m1 up
ip -n b link set m2 up
ip -n p link set m3 up
ip -n v link set m4 up
ip link add m5 link base type macvlan mode bridge
ip addr add 10.16.0.50/24 dev m5
ip link set m5 up
ip -n r link add out type veth peer name e0 netns far
ip -n r addr add 10.17.0.1/24 dev out
ip -n far addr add 10.17.0.10/24 dev e0
ip -n r link set out up
ip -n far link set e0 up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
ip -n far route add default via 10.17.0.1
ip -n a route add 10.17.0.0/24 via 10.16.0.254
ip -n p route add 10.17.0.0/24 via 10.16.0.254
ip -n v route add 10.16.0.10/32 via 10.16.0.254
ip route add 10.16.0.20/32 dev base
