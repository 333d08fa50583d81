# VLANs over a bridge: of one number at three of its ports, the host and a port of another bridge; of others, and one that is down.
ip netns add a
ip netns add b
ip netns add c
ip netns add d
ip link add bz type bridge
ip link set bz up
ip addr add 10.30.0.1/24 dev bz
ip link add va type veth peer name e0 netns a
ip link add vb type veth peer name e0 netns b
ip link add vc type veth peer name e0 netns c
ip link add vd type veth peer name e0 netns d
ip link set va master bz up
ip link set vb master bz up
ip link set vc master bz up
ip -n a addr add 10.30.0.10/24 dev e0
ip -n b addr add 10.30.0.20/24 dev e0
ip -n c addr add 10.30.0.30/24 dev e0
ip -n a link set e0 up
ip -n b link set e0 up
ip -n c link set e0 up
ip -n a link add link e0 name v5 type vlan id 5
ip -n b link add link e0 name v5 type vlan id 5
ip -n b link add link e0 name v6 type vlan id 6
ip -n c link add link e0 name v6 type vlan id 6
ip -n c link add link e0 name v7 type vlan id 7
ip -n a addr add 10.35.0.10/24 dev v5
ip -n b addr add 10.35.0.20/24 dev v5
ip -n b addr add 10.36.0.20/24 dev v6
ip -n c addr add 10.36.0.30/24 dev v6
ip -n c addr add 10.35.0.30/24 dev v7
ip -n a link set v5 up
ip -n b link set v5 up
ip -n b link set v6 up
ip -n c link set v6 up
ip -n c link set v7 up
ip link add link bz name bz.5 type vlan id 5
ip link add bz5 type bridge
ip link set bz.5 master bz5
ip link set bz5 up
ip link set bz.5 up
ip link set vd master bz5 up
ip -n d addr add 10.35.0.40/24 dev e0
ip -n d link set e0 up
ip addr add 10.35.0.1/24 dev bz5
ip link add link bz name bz.6 type vlan id 6
ip addr add 10.36.0.1/24 dev bz.6
ip -n a link set e0 down
ip -n a link set e0 up
