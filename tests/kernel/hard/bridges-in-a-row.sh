# Three bridges and two cables; the middle has an address, one port is down, one entry lies.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add d
ip -n d link set lo up
ip link add one type bridge
ip link set one up
ip link add two type bridge
ip addr add 10.27.0.1/24 dev two
ip link set two up
ip link add three type bridge
ip addr add 10.27.0.3/24 dev three
ip link set three up
ip link add t1 type veth peer name t2
ip link set t1 master one up
ip link set t2 master two up
ip link add t3 type veth peer name t4
ip link set t3 master two up
ip link set t4 master three up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master one up
ip -n a addr add 10.27.0.10/24 dev e0
ip -n a link set e0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master two up
ip -n b addr add 10.27.0.20/24 dev e0
ip -n b link set e0 up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master three up
ip -n c addr add 10.27.0.30/24 dev e0
ip -n c link set e0 up
ip link add de0 type veth peer name e0 netns d
ip link set de0 master three up
ip -n d addr add 10.27.0.40/24 dev e0
ip -n d link set e0 up
ip -n a link set e0 address 02:00:00:00:27:10
ip -n d link set e0 address 02:00:00:00:27:40
bridge fdb replace 02:00:00:00:27:40 dev t1 master static
ip link set de0 mtu 1400
ip -n c neigh add 10.27.0.10 lladdr 02:00:00:00:27:10 nud permanent dev e0
ip -n c neigh add 10.27.0.20 lladdr 02:00:00:00:27:11 nud permanent dev e0
ip link set dev t3 type bridge_slave learning off
ip link set dev be0 type bridge_slave bcast_flood off
