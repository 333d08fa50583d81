#### up
## Bridges
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name left address 02:73:c9:ed:25:41 type bridge
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name right address 02:e3:a1:87:2d:02 type bridge

## Namespaces
# Each container is a network namespace: links, addresses, routes and rules of its own, empty at first.
ip netns add l0
ip netns add l1
ip netns add r0
ip netns add r1
ip netns add lr
ip netns add rr

## Cables
# A veth pair is a cable: what enters one end leaves the other. The far end is born in its container,
# which is about fifteen times faster than moving it there.
ip link add dumbbell-0 type veth peer name ceth0 netns l0
# The host end waits for its carrier: the far end is still down.
ip link set dumbbell-0 up
# Plugged into the bridge: what dumbbell-0 receives is now left's to pass on.
ip link set dev dumbbell-0 master left
ip link add dumbbell-1 type veth peer name ceth1 netns l1
ip link set dumbbell-1 up
ip link set dev dumbbell-1 master left
ip link add dumbbell-2 type veth peer name ceth2 netns r0
ip link set dumbbell-2 up
ip link set dev dumbbell-2 master right
ip link add dumbbell-3 type veth peer name ceth3 netns r1
ip link set dumbbell-3 up
ip link set dev dumbbell-3 master right
ip link add dumbbell-4 type veth peer name ceth4 netns lr
ip link set dumbbell-4 up
ip link set dev dumbbell-4 master left
ip link add dumbbell-5 type veth peer name ceth5 netns rr
ip link set dumbbell-5 up
ip link set dev dumbbell-5 master right
# A cable from lr straight to rr; the host has neither end.
ip link add slow netns lr type veth peer name slow netns rr

## Inside l0
# Its address and, by the prefix length, which others are on the same link.
ip netns exec l0 ip address add 10.1.0.10/24 dev ceth0
# Both ends are up: the cable has its carrier, and the connected route appears.
ip netns exec l0 ip link set ceth0 up
# A container talks to itself through lo, which is down in every new namespace.
ip netns exec l0 ip link set lo up
# The way to what is not on the link. The kernel accepts a next hop only when it can reach it already.
ip netns exec l0 ip route add default via 10.1.0.1

## Inside l1
ip netns exec l1 ip address add 10.1.0.11/24 dev ceth1
ip netns exec l1 ip link set ceth1 up
ip netns exec l1 ip link set lo up
ip netns exec l1 ip route add default via 10.1.0.1

## Inside r0
ip netns exec r0 ip address add 10.2.0.10/24 dev ceth2
ip netns exec r0 ip link set ceth2 up
ip netns exec r0 ip link set lo up
ip netns exec r0 ip route add default via 10.2.0.1

## Inside r1
ip netns exec r1 ip address add 10.2.0.11/24 dev ceth3
ip netns exec r1 ip link set ceth3 up
ip netns exec r1 ip link set lo up
ip netns exec r1 ip route add default via 10.2.0.1

## Inside lr
# A setting of lr alone: each namespace has its own.
echo 1 | ip netns exec lr tee /proc/sys/net/ipv4/ip_forward
ip netns exec lr ip address add 10.1.0.1/24 dev ceth4
ip netns exec lr ip address add 10.9.0.1/30 dev slow
ip netns exec lr ip link set ceth4 up
ip netns exec lr ip link set slow up
ip netns exec lr ip link set lo up
ip netns exec lr ip route add 10.2.0.0/24 via 10.9.0.2

## Inside rr
# A setting of rr alone: each namespace has its own.
echo 1 | ip netns exec rr tee /proc/sys/net/ipv4/ip_forward
ip netns exec rr ip address add 10.2.0.1/24 dev ceth5
ip netns exec rr ip address add 10.9.0.2/30 dev slow
ip netns exec rr ip link set ceth5 up
ip netns exec rr ip link set slow up
ip netns exec rr ip link set lo up
ip netns exec rr ip route add 10.1.0.0/24 via 10.9.0.1

## Slow links
# A queue at each end holds packets back: each end shapes what it sends.
ip netns exec lr tc qdisc add dev slow root tbf rate 10mbit burst 100kbit latency 400ms
ip netns exec rr tc qdisc add dev slow root tbf rate 10mbit burst 100kbit latency 400ms

## Rules of iptables
# The lab's rules stand in chains of its own, so that nobody else's are touched.
iptables -w -t filter -N CNETSH-dumbbell
# Neighbours on left may talk; a kernel with bridge-nf-call-iptables asks here even for them.
iptables -w -t filter -A CNETSH-dumbbell -i left -o left -m comment --comment cnetsh:dumbbell -j ACCEPT
# Neighbours on right may talk; a kernel with bridge-nf-call-iptables asks here even for them.
iptables -w -t filter -A CNETSH-dumbbell -i right -o right -m comment --comment cnetsh:dumbbell -j ACCEPT
# Packets meet the lab's rules before those that are there already; the policy stays as it is.
iptables -w -t filter -I FORWARD -m comment --comment cnetsh:dumbbell -j CNETSH-dumbbell

## Bridges up
# Last of all: while left is down, ports that come up have nobody to announce themselves to.
ip link set left up
# Last of all: while right is down, ports that come up have nobody to announce themselves to.
ip link set right up
#### check
## Between containers
# l0 reaches l1.
ip netns exec l0 ping -c1 -W1 10.1.0.11
# l0 reaches r0.
ip netns exec l0 ping -c1 -W1 10.2.0.10
# l0 reaches r1.
ip netns exec l0 ping -c1 -W1 10.2.0.11
# l0 reaches lr.
ip netns exec l0 ping -c1 -W1 10.1.0.1
# l0 reaches rr.
ip netns exec l0 ping -c1 -W1 10.2.0.1
# l1 reaches r0.
ip netns exec l1 ping -c1 -W1 10.2.0.10
# l1 reaches r1.
ip netns exec l1 ping -c1 -W1 10.2.0.11
# l1 reaches lr.
ip netns exec l1 ping -c1 -W1 10.1.0.1
# l1 reaches rr.
ip netns exec l1 ping -c1 -W1 10.2.0.1
# r0 reaches r1.
ip netns exec r0 ping -c1 -W1 10.2.0.11
# r0 reaches lr.
ip netns exec r0 ping -c1 -W1 10.1.0.1
# r0 reaches rr.
ip netns exec r0 ping -c1 -W1 10.2.0.1
# r1 reaches lr.
ip netns exec r1 ping -c1 -W1 10.1.0.1
# r1 reaches rr.
ip netns exec r1 ping -c1 -W1 10.2.0.1
# lr reaches rr.
ip netns exec lr ping -c1 -W1 10.9.0.2

#### down
## Rules of iptables
# FORWARD is again what it was.
iptables -w -t filter -D FORWARD -m comment --comment cnetsh:dumbbell -j CNETSH-dumbbell
iptables -w -t filter -F CNETSH-dumbbell
iptables -w -t filter -X CNETSH-dumbbell

## Bridges
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete left
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete right

## Namespaces
# A namespace takes its end of each cable with it, and so the other end: a moment after the command returns.
ip netns delete l0
ip netns delete l1
ip netns delete r0
ip netns delete r1
ip netns delete lr
ip netns delete rr
