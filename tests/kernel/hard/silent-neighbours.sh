# Settings by which nobody is asked, or asked by whom, and who answers.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add f
ip -n f link set lo up
ip netns add g
ip -n g link set lo up
ip netns add h
ip -n h link set lo up
ip netns add k
ip -n k link set lo up
ip netns add m
ip -n m link set lo up
ip link add x type bridge
ip addr add 10.35.0.1/24 dev x
ip link set x up
ip link add y type bridge
ip link set y up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master x up
ip -n a addr add 10.35.0.10/24 dev e0
ip -n a link set e0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master x up
ip -n b addr add 10.35.0.20/24 dev e0
ip -n b link set e0 up
echo 2 | ip netns exec b tee /proc/sys/net/ipv4/conf/e0/arp_ignore
ip -n b route add 10.99.0.0/24 dev e0
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master x up
ip -n c addr add 10.35.0.30/24 dev e0
ip -n c link set e0 up
ip -n c addr add 10.36.0.1/24 dev lo
echo 3 | ip netns exec c tee /proc/sys/net/ipv4/conf/all/arp_ignore
ip -n a route add 10.36.0.0/24 dev e0
ip link add fe0 type veth peer name e0 netns f
ip link set fe0 master x up
ip -n f addr add 10.35.0.50/24 dev e0
ip -n f link set e0 up
ip link add fe1 type veth peer name e1 netns f
ip link set fe1 master y up
ip -n f addr add 10.35.0.51/24 dev e1
ip -n f link set e1 up
echo 1 | ip netns exec f tee /proc/sys/net/ipv4/conf/all/arp_filter
ip -n f route add 10.35.0.0/24 dev e1 table 7
ip -n f rule add from 10.35.0.51 lookup 7
ip link add ge0 type veth peer name e0 netns g
ip link set ge0 master y up
ip -n g addr add 10.35.0.60/24 dev e0
ip -n g link set e0 up
ip link add he0 type veth peer name e0 netns h
ip link set he0 master x up
ip -n h addr add 10.35.0.70/24 dev e0
ip -n h link set e0 up
ip -n h addr add 10.99.0.7/32 dev lo
ip -n h route add 10.35.0.20/32 dev e0 src 10.99.0.7
ip link add ke0 type veth peer name e0 netns k
ip link set ke0 master x up
ip -n k addr add 10.35.0.80/24 dev e0
ip -n k link set e0 up
ip -n k addr add 10.99.0.8/32 dev lo
ip -n k route add 10.35.0.20/32 dev e0 src 10.99.0.8
echo 1 | ip netns exec k tee /proc/sys/net/ipv4/conf/e0/arp_announce
ip link add me0 type veth peer name e0 netns m
ip link set me0 master x up
ip -n m addr add 10.35.0.90/24 dev e0
ip -n m link set e0 up
echo 0 | ip netns exec m tee /proc/sys/net/ipv4/neigh/e0/mcast_solicit
