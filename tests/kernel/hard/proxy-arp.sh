# A router that answers for what lies behind it, in one subnet that two wires share.
ip netns add r
ip -n r link set lo up
ip netns add a
ip -n a link set lo up
ip netns add b
ip -n b link set lo up
ip netns add c
ip -n c link set lo up
ip netns add d
ip -n d link set lo up
ip -n a link add e0 type veth peer name left netns r
ip -n a addr add 10.5.0.10/16 dev e0
ip -n r addr add 10.5.0.1/24 dev left
ip -n a link set e0 up
ip -n r link set left up
ip -n b link add e0 type veth peer name right netns r
ip -n b addr add 10.5.1.10/16 dev e0
ip -n r addr add 10.5.1.1/24 dev right
ip -n b link set e0 up
ip -n r link set right up
ip -n c link add e0 type veth peer name off netns r
ip -n c addr add 10.5.2.10/16 dev e0
ip -n c link set e0 up
ip -n r link set off up
ip -n d link add e0 type veth peer name none netns r
ip -n d addr add 10.5.3.10/16 dev e0
ip -n d link set e0 up
ip -n r link set none up
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/conf/left/proxy_arp
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/conf/right/proxy_arp
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/conf/off/proxy_arp
ip -n r route add 10.5.2.10/32 dev off
ip -n r route add 10.5.3.10/32 dev none
echo 0 | ip netns exec r tee /proc/sys/net/ipv4/conf/off/forwarding
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/conf/right/arp_ignore
