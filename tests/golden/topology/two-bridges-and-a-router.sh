#### up
## Bridges
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name br0 address 02:42:f1:6c:a2:a0 type bridge
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name br1 address 02:a0:ef:8b:a0:78 type bridge

## Namespaces
# Each container is a network namespace: links, addresses, routes and rules of its own, empty at first.
ip netns add red0
ip netns add red1
ip netns add blue0
ip netns add router

## Cables
# A veth pair is a cable: what enters one end leaves the other. The far end is born in its container,
# which is about fifteen times faster than moving it there.
ip link add rooms-0 type veth peer name ceth0 netns red0
# The host end waits for its carrier: the far end is still down.
ip link set rooms-0 up
# Plugged into the bridge: what rooms-0 receives is now br0's to pass on.
ip link set dev rooms-0 master br0
ip link add rooms-1 type veth peer name ceth1 netns red1
ip link set rooms-1 up
ip link set dev rooms-1 master br0
ip link add rooms-2 type veth peer name ceth2 netns blue0
ip link set rooms-2 up
ip link set dev rooms-2 master br1
ip link add rooms-3 type veth peer name red netns router
ip link set rooms-3 up
ip link set dev rooms-3 master br0
ip link add rooms-4 type veth peer name blue netns router
ip link set rooms-4 up
ip link set dev rooms-4 master br1

## Inside red0
# Its address and, by the prefix length, which others are on the same link.
ip netns exec red0 ip address add 10.1.0.10/24 dev ceth0
# Both ends are up: the cable has its carrier, and the connected route appears.
ip netns exec red0 ip link set ceth0 up
# A container talks to itself through lo, which is down in every new namespace.
ip netns exec red0 ip link set lo up
# The way to what is not on the link. The kernel accepts a next hop only when it can reach it already.
ip netns exec red0 ip route add default via 10.1.0.1

## Inside red1
ip netns exec red1 ip address add 10.1.0.11/24 dev ceth1
ip netns exec red1 ip link set ceth1 up
ip netns exec red1 ip link set lo up
ip netns exec red1 ip route add default via 10.1.0.1

## Inside blue0
ip netns exec blue0 ip address add 10.2.0.10/24 dev ceth2
ip netns exec blue0 ip link set ceth2 up
ip netns exec blue0 ip link set lo up
ip netns exec blue0 ip route add default via 10.2.0.1

## Inside router
# A setting of router alone: each namespace has its own.
echo 1 | ip netns exec router tee /proc/sys/net/ipv4/ip_forward
ip netns exec router ip address add 10.1.0.1/24 dev red
ip netns exec router ip address add 10.2.0.1/24 dev blue
ip netns exec router ip link set red up
ip netns exec router ip link set blue up
ip netns exec router ip link set lo up

## Rules of iptables
# The lab's rules stand in chains of its own, so that nobody else's are touched.
iptables -w -t filter -N CNETSH-rooms
# Neighbours on br0 may talk; a kernel with bridge-nf-call-iptables asks here even for them.
iptables -w -t filter -A CNETSH-rooms -i br0 -o br0 -m comment --comment cnetsh:rooms -j ACCEPT
# Neighbours on br1 may talk; a kernel with bridge-nf-call-iptables asks here even for them.
iptables -w -t filter -A CNETSH-rooms -i br1 -o br1 -m comment --comment cnetsh:rooms -j ACCEPT
# Packets meet the lab's rules before those that are there already; the policy stays as it is.
iptables -w -t filter -I FORWARD -m comment --comment cnetsh:rooms -j CNETSH-rooms

## Bridges up
# Last of all: while br0 is down, ports that come up have nobody to announce themselves to.
ip link set br0 up
# Last of all: while br1 is down, ports that come up have nobody to announce themselves to.
ip link set br1 up
#### check
## Between containers
# red0 reaches red1.
ip netns exec red0 ping -c1 -W1 10.1.0.11
# red0 reaches blue0.
ip netns exec red0 ping -c1 -W1 10.2.0.10
# red0 reaches router.
ip netns exec red0 ping -c1 -W1 10.1.0.1
# red1 reaches blue0.
ip netns exec red1 ping -c1 -W1 10.2.0.10
# red1 reaches router.
ip netns exec red1 ping -c1 -W1 10.1.0.1
# blue0 reaches router.
ip netns exec blue0 ping -c1 -W1 10.2.0.1

## The lab file's own
#: expect failure: br0 has no address, so the host has no route to its network
#: control ip netns exec red0 ping -c1 -W1 10.1.0.11
ping -c1 -W1 10.1.0.10
#### down
## Rules of iptables
# FORWARD is again what it was.
iptables -w -t filter -D FORWARD -m comment --comment cnetsh:rooms -j CNETSH-rooms
iptables -w -t filter -F CNETSH-rooms
iptables -w -t filter -X CNETSH-rooms

## Bridges
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete br0
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete br1

## Namespaces
# A namespace takes its end of each cable with it, and so the other end: a moment after the command returns.
ip netns delete red0
ip netns delete red1
ip netns delete blue0
ip netns delete router
