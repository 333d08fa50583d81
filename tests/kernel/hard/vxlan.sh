# A wire within a wire: two namespaces under it and one bridge over it; one with another number.
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip link add under type bridge
ip addr add 10.25.0.1/24 dev under
ip link set under up
ip link add ae0 type veth peer name e0 netns a
ip link set ae0 master under up
ip -n a addr add 10.25.0.10/24 dev e0
ip -n a link set e0 up
ip link add be0 type veth peer name e0 netns b
ip link set be0 master under up
ip -n b addr add 10.25.0.20/24 dev e0
ip -n b link set e0 up
ip link add ce0 type veth peer name e0 netns c
ip link set ce0 master under up
ip -n c addr add 10.25.0.30/24 dev e0
ip -n c link set e0 up
ip -n a link add vx type vxlan id 42 dstport 4789 local 10.25.0.10 remote 10.25.0.20 dev e0
ip -n b link add vx type vxlan id 42 dstport 4789 local 10.25.0.20 remote 10.25.0.10 dev e0
ip -n c link add vx type vxlan id 43 dstport 4789 local 10.25.0.30 remote 10.25.0.10 dev e0
ip -n a addr add 10.26.0.10/24 dev vx
ip -n b addr add 10.26.0.20/24 dev vx
ip -n c addr add 10.26.0.30/24 dev vx
ip -n a link set vx up
ip -n b link set vx up
ip -n c link set vx up
