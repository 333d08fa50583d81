#### up
## Bridges
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name br0 address 02:e4:fa:01:02:bb type bridge
# With an address of its own br0 is also a link of the host, and the containers' gateway.
ip address add 172.18.0.1/16 dev br0
# nodad: nobody else can have this address, so the kernel need not ask the link first, for a second or two.
ip address add fd00:18::1/64 dev br0 nodad

## Namespaces
# Each container is a network namespace: links, addresses, routes and rules of its own, empty at first.
ip netns add net0
ip netns add net1
ip netns add old

## Cables
# A veth pair is a cable: what enters one end leaves the other. The far end is born in its container,
# which is about fifteen times faster than moving it there.
ip link add dual-0 type veth peer name ceth0 netns net0
# The host end waits for its carrier: the far end is still down.
ip link set dual-0 up
# Plugged into the bridge: what dual-0 receives is now br0's to pass on.
ip link set dev dual-0 master br0
ip link add dual-1 type veth peer name ceth1 netns net1
ip link set dual-1 up
ip link set dev dual-1 master br0
ip link add dual-2 type veth peer name ceth2 netns old
ip link set dual-2 up
ip link set dev dual-2 master br0

## Bridges up
# Up before the containers speak: a question for an IPv6 neighbour is lost while br0 comes up.
ip link set br0 up

## Inside net0
# Its address and, by the prefix length, which others are on the same link.
ip netns exec net0 ip address add 172.18.0.2/16 dev ceth0
# A link can have addresses of both versions, and IPv6 always has a second one of its own, fe80::…
ip netns exec net0 ip address add fd00:18::2/64 dev ceth0 nodad
# Both ends are up: the cable has its carrier, and the connected route appears.
ip netns exec net0 ip link set ceth0 up
# A container talks to itself through lo, which is down in every new namespace.
ip netns exec net0 ip link set lo up
# The way to what is not on the link. The kernel accepts a next hop only when it can reach it already.
ip netns exec net0 ip route add default via 172.18.0.1
# IPv6 has a routing table of its own, and so its own way out.
ip netns exec net0 ip route add default via fd00:18::1

## Inside net1
ip netns exec net1 ip address add 172.18.0.3/16 dev ceth1
ip netns exec net1 ip address add fd00:18::3/64 dev ceth1 nodad
ip netns exec net1 ip link set ceth1 up
ip netns exec net1 ip link set lo up
ip netns exec net1 ip route add default via 172.18.0.1
ip netns exec net1 ip route add default via fd00:18::1

## Inside old
ip netns exec old ip address add 172.18.0.100/16 dev ceth2
ip netns exec old ip link set ceth2 up
ip netns exec old ip link set lo up
ip netns exec old ip route add default via 172.18.0.1

## Rules of iptables
# The lab's rules stand in chains of its own, so that nobody else's are touched.
iptables -w -t filter -N CNETSH-dual
# What comes from br0 may go on, also where Docker has made DROP the policy of FORWARD.
iptables -w -t filter -A CNETSH-dual -i br0 -m comment --comment cnetsh:dual -j ACCEPT
# Answers may come back to it.
iptables -w -t filter -A CNETSH-dual -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment cnetsh:dual -j ACCEPT
# Packets meet the lab's rules before those that are there already; the policy stays as it is.
iptables -w -t filter -I FORWARD -m comment --comment cnetsh:dual -j CNETSH-dual
# Another chain for translation of source addresses (NAT).
iptables -w -t nat -N CNETSH-dual
# Elsewhere nobody knows 172.18.0.0/16: what leaves gets the host's address, and answers find back.
iptables -w -t nat -A CNETSH-dual -s 172.18.0.0/16 ! -o br0 -m comment --comment cnetsh:dual -j MASQUERADE
# Translation of sources comes last, when the packet's way is known.
iptables -w -t nat -A POSTROUTING -m comment --comment cnetsh:dual -j CNETSH-dual

## Rules of ip6tables
# The lab's rules stand in chains of its own, so that nobody else's are touched.
ip6tables -w -t filter -N CNETSH-dual
# What comes from br0 may go on, also where Docker has made DROP the policy of FORWARD.
ip6tables -w -t filter -A CNETSH-dual -i br0 -m comment --comment cnetsh:dual -j ACCEPT
# Answers may come back to it.
ip6tables -w -t filter -A CNETSH-dual -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment cnetsh:dual -j ACCEPT
# Packets meet the lab's rules before those that are there already; the policy stays as it is.
ip6tables -w -t filter -I FORWARD -m comment --comment cnetsh:dual -j CNETSH-dual
# Another chain for translation of source addresses (NAT).
ip6tables -w -t nat -N CNETSH-dual
# Elsewhere nobody knows fd00:18::/64: what leaves gets the host's address, and answers find back.
ip6tables -w -t nat -A CNETSH-dual -s fd00:18::/64 ! -o br0 -m comment --comment cnetsh:dual -j MASQUERADE
# Translation of sources comes last, when the packet's way is known.
ip6tables -w -t nat -A POSTROUTING -m comment --comment cnetsh:dual -j CNETSH-dual

## Forwarding
# A host keeps what is not addressed to it until it is told to pass packets on.
echo 1 | tee /proc/sys/net/ipv4/ip_forward
# A host keeps what is not addressed to it until it is told to pass packets on.
echo 1 | tee /proc/sys/net/ipv6/conf/all/forwarding

#### check
## To the gateway
# Through the cable and the bridge to the host: link, address and route are right.
ip netns exec net0 ping -c1 -W1 172.18.0.1
ip netns exec net0 ping -c1 -W1 fd00:18::1
ip netns exec net1 ping -c1 -W1 172.18.0.1
ip netns exec net1 ping -c1 -W1 fd00:18::1
ip netns exec old ping -c1 -W1 172.18.0.1

## Between containers
# net0 reaches net1.
ip netns exec net0 ping -c1 -W1 172.18.0.3
# net0 reaches old.
ip netns exec net0 ping -c1 -W1 172.18.0.100
# net1 reaches old.
ip netns exec net1 ping -c1 -W1 172.18.0.100

## The Internet
# Out there the packet has the host's address, and the answer finds back by it.
#: needs route 1.1.1.1
ip netns exec net0 ping -c1 -W1 1.1.1.1

## The lab file's own
# net1 has the second free address
ip netns exec net0 ping -c1 -W1 fd00:18::3
#: expect failure: old speaks IPv4 alone
#: control ip netns exec old ping -c1 -W1 172.18.0.1
#: control ping -c1 -W1 fd00:18::1
ip netns exec old ping -c1 -W1 fd00:18::1
#### down
## Rules of iptables
# Without this way in, nothing is translated any more.
iptables -w -t nat -D POSTROUTING -m comment --comment cnetsh:dual -j CNETSH-dual
iptables -w -t nat -F CNETSH-dual
iptables -w -t nat -X CNETSH-dual
# FORWARD is again what it was.
iptables -w -t filter -D FORWARD -m comment --comment cnetsh:dual -j CNETSH-dual
iptables -w -t filter -F CNETSH-dual
iptables -w -t filter -X CNETSH-dual

## Rules of ip6tables
# Without this way in, nothing is translated any more.
ip6tables -w -t nat -D POSTROUTING -m comment --comment cnetsh:dual -j CNETSH-dual
ip6tables -w -t nat -F CNETSH-dual
ip6tables -w -t nat -X CNETSH-dual
# FORWARD is again what it was.
ip6tables -w -t filter -D FORWARD -m comment --comment cnetsh:dual -j CNETSH-dual
ip6tables -w -t filter -F CNETSH-dual
ip6tables -w -t filter -X CNETSH-dual

## Forwarding
# No router any more, unless it was one before: then that is put back.
echo 0 | tee /proc/sys/net/ipv4/ip_forward
# No router any more, unless it was one before: then that is put back.
echo 0 | tee /proc/sys/net/ipv6/conf/all/forwarding

## Bridges
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete br0

## Namespaces
# A namespace takes its end of each cable with it, and so the other end: a moment after the command returns.
ip netns delete net0
ip netns delete net1
ip netns delete old
