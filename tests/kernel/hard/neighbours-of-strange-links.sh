# Links without ARP, neighbours that are told by hand, and one that a router answers for.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add d
ip -n d link set lo up
ip link add x type bridge
ip addr add 10.28.0.1/24 dev x
ip link set x up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master x up
ip -n a addr add 10.28.0.10/24 dev e0
ip -n a link set e0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master x up
ip -n b addr add 10.28.0.20/24 dev e0
ip -n b link set e0 up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master x up
ip -n c addr add 10.28.0.30/24 dev e0
ip -n c link set e0 up
ip link add de0 type veth peer name e0 netns d
ip link set de0 master x up
ip -n d addr add 10.28.0.40/24 dev e0
ip -n d link set e0 up
ip -n a link set e0 address 02:00:00:00:28:10
ip -n b link set e0 address 02:00:00:00:28:20
ip -n b link set e0 arp off
ip -n c link set e0 address 02:00:00:00:28:30
ip -n a neigh add 10.28.0.20 lladdr 02:00:00:00:28:20 nud permanent dev e0
ip -n b neigh add 10.28.0.10 lladdr 02:00:00:00:28:10 nud permanent dev e0
ip -n c neigh add 10.28.0.20 lladdr 02:00:00:00:28:20 nud permanent dev e0
ip -n d neigh add 10.28.0.30 lladdr 02:00:00:00:28:10 nud permanent dev e0
ip neigh add 10.28.0.40 lladdr 02:00:00:00:28:30 nud permanent dev x
ip -n a neigh add 10.28.0.99 lladdr 02:00:00:00:28:20 nud permanent dev lo
ip -n b addr add 10.28.0.99/32 dev lo
ip -n d neigh add proxy 10.28.0.88 dev e0
ip -n c addr add 10.28.0.88/32 dev lo
