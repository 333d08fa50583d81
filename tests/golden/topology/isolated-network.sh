#### up
## Bridges
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name br0 address 02:8c:ce:11:63:a4 type bridge
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name br1 address 02:f6:10:4d:dd:64 type bridge
# With an address of its own br0 is also a link of the host, and the containers' gateway.
ip address add 10.1.0.1/24 dev br0
# With an address of its own br1 is also a link of the host, and the containers' gateway.
ip address add 10.2.0.1/24 dev br1

## Namespaces
# Each container is a network namespace: links, addresses, routes and rules of its own, empty at first.
ip netns add open
ip netns add safe0
ip netns add safe1

## Cables
# A veth pair is a cable: what enters one end leaves the other. The far end is born in its container,
# which is about fifteen times faster than moving it there.
ip link add vault-0 type veth peer name ceth0 netns open
# The host end waits for its carrier: the far end is still down.
ip link set vault-0 up
# Plugged into the bridge: what vault-0 receives is now br0's to pass on.
ip link set dev vault-0 master br0
ip link add vault-1 type veth peer name ceth1 netns safe0
ip link set vault-1 up
ip link set dev vault-1 master br1
ip link add vault-2 type veth peer name ceth2 netns safe1
ip link set vault-2 up
ip link set dev vault-2 master br1

## Inside open
# Its address and, by the prefix length, which others are on the same link.
ip netns exec open ip address add 10.1.0.2/24 dev ceth0
# Both ends are up: the cable has its carrier, and the connected route appears.
ip netns exec open ip link set ceth0 up
# A container talks to itself through lo, which is down in every new namespace.
ip netns exec open ip link set lo up
# The way to what is not on the link. The kernel accepts a next hop only when it can reach it already.
ip netns exec open ip route add default via 10.1.0.1

## Inside safe0
ip netns exec safe0 ip address add 10.2.0.2/24 dev ceth1
ip netns exec safe0 ip link set ceth1 up
ip netns exec safe0 ip link set lo up
ip netns exec safe0 ip route add default via 10.2.0.1

## Inside safe1
ip netns exec safe1 ip address add 10.2.0.3/24 dev ceth2
ip netns exec safe1 ip link set ceth2 up
ip netns exec safe1 ip link set lo up
ip netns exec safe1 ip route add default via 10.2.0.1

## Rules of iptables
# The lab's rules stand in chains of its own, so that nobody else's are touched.
iptables -w -t filter -N CNETSH-vault
# br1 is isolated: nothing from it goes further.
iptables -w -t filter -A CNETSH-vault -i br1 ! -o br1 -m comment --comment cnetsh:vault -j DROP
# And nothing from elsewhere comes into it.
iptables -w -t filter -A CNETSH-vault ! -i br1 -o br1 -m comment --comment cnetsh:vault -j DROP
# Neighbours on br1 may talk; a kernel with bridge-nf-call-iptables asks here even for them.
iptables -w -t filter -A CNETSH-vault -i br1 -o br1 -m comment --comment cnetsh:vault -j ACCEPT
# What comes from br0 may go on, also where Docker has made DROP the policy of FORWARD.
iptables -w -t filter -A CNETSH-vault -i br0 -m comment --comment cnetsh:vault -j ACCEPT
# Answers may come back to it.
iptables -w -t filter -A CNETSH-vault -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment cnetsh:vault -j ACCEPT
# Packets meet the lab's rules before those that are there already; the policy stays as it is.
iptables -w -t filter -I FORWARD -m comment --comment cnetsh:vault -j CNETSH-vault
# Another chain for translation of source addresses (NAT).
iptables -w -t nat -N CNETSH-vault
# Elsewhere nobody knows 10.1.0.0/24: what leaves gets the host's address, and answers find back.
iptables -w -t nat -A CNETSH-vault -s 10.1.0.0/24 ! -o br0 -m comment --comment cnetsh:vault -j MASQUERADE
# Translation of sources comes last, when the packet's way is known.
iptables -w -t nat -A POSTROUTING -m comment --comment cnetsh:vault -j CNETSH-vault

## Forwarding
# A host keeps what is not addressed to it until it is told to pass packets on.
echo 1 | tee /proc/sys/net/ipv4/ip_forward

## Bridges up
# Last of all: while br0 is down, ports that come up have nobody to announce themselves to.
ip link set br0 up
# Last of all: while br1 is down, ports that come up have nobody to announce themselves to.
ip link set br1 up
#### check
## To the gateway
# Through the cable and the bridge to the host: link, address and route are right.
ip netns exec open ping -c1 -W1 10.1.0.1
ip netns exec safe0 ping -c1 -W1 10.2.0.1
ip netns exec safe1 ping -c1 -W1 10.2.0.1

## Between containers
# safe0 reaches safe1.
ip netns exec safe0 ping -c1 -W1 10.2.0.3
# open cannot reach safe0.
#: expect failure: br1 is isolated
#: control ip netns exec open ping -c1 -W1 10.1.0.1
#: control ip netns exec safe0 ping -c1 -W1 10.2.0.1
ip netns exec open ping -c1 -W1 10.2.0.2
# safe0 cannot reach open.
#: expect failure: br1 is isolated
#: control ip netns exec safe0 ping -c1 -W1 10.2.0.1
#: control ip netns exec open ping -c1 -W1 10.1.0.1
ip netns exec safe0 ping -c1 -W1 10.1.0.2

## The Internet
# Out there the packet has the host's address, and the answer finds back by it.
#: needs route 1.1.1.1
ip netns exec open ping -c1 -W1 1.1.1.1
# br1 is isolated, so the Internet is as far away as any other network.
#: expect failure: br1 is isolated
#: control ip netns exec safe0 ping -c1 -W1 10.2.0.1
#: control ping -c1 -W1 1.1.1.1
ip netns exec safe0 ping -c1 -W1 1.1.1.1

## The lab file's own
# isolated means no forwarding; the host itself is a neighbour
ping -c1 -W1 10.2.0.2
#### down
## Rules of iptables
# Without this way in, nothing is translated any more.
iptables -w -t nat -D POSTROUTING -m comment --comment cnetsh:vault -j CNETSH-vault
iptables -w -t nat -F CNETSH-vault
iptables -w -t nat -X CNETSH-vault
# FORWARD is again what it was.
iptables -w -t filter -D FORWARD -m comment --comment cnetsh:vault -j CNETSH-vault
iptables -w -t filter -F CNETSH-vault
iptables -w -t filter -X CNETSH-vault

## Forwarding
# No router any more, unless it was one before: then that is put back.
echo 0 | tee /proc/sys/net/ipv4/ip_forward

## Bridges
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete br0
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete br1

## Namespaces
# A namespace takes its end of each cable with it, and so the other end: a moment after the command returns.
ip netns delete open
ip netns delete safe0
ip netns delete safe1
