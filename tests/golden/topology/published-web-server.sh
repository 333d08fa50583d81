#### up
## Bridges
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name br0 address 02:e7:bc:91:a8:e1 type bridge
# With an address of its own br0 is also a link of the host, and the containers' gateway.
ip address add 172.18.0.1/16 dev br0

## Namespaces
# Each container is a network namespace: links, addresses, routes and rules of its own, empty at first.
ip netns add web
ip netns add client

## Cables
# A veth pair is a cable: what enters one end leaves the other. The far end is born in its container,
# which is about fifteen times faster than moving it there.
ip link add web-0 type veth peer name ceth0 netns web
# The host end waits for its carrier: the far end is still down.
ip link set web-0 up
# Plugged into the bridge: what web-0 receives is now br0's to pass on.
ip link set dev web-0 master br0
ip link add web-1 type veth peer name ceth1 netns client
ip link set web-1 up
ip link set dev web-1 master br0
# A container that asks for its own published port is answered by itself: where iptables sees what a bridge
# passes on (bridge-nf-call-iptables), its packet has to leave by the port that it came in by.
ip link set dev web-0 type bridge_slave hairpin on

## Inside web
# Its address and, by the prefix length, which others are on the same link.
ip netns exec web ip address add 172.18.0.10/16 dev ceth0
# Both ends are up: the cable has its carrier, and the connected route appears.
ip netns exec web ip link set ceth0 up
# A container talks to itself through lo, which is down in every new namespace.
ip netns exec web ip link set lo up
# The way to what is not on the link. The kernel accepts a next hop only when it can reach it already.
ip netns exec web ip route add default via 172.18.0.1

## Inside client
ip netns exec client ip address add 172.18.0.2/16 dev ceth1
ip netns exec client ip link set ceth1 up
ip netns exec client ip link set lo up
ip netns exec client ip route add default via 172.18.0.1

## Rules of iptables
# The lab's rules stand in chains of its own, so that nobody else's are touched.
iptables -w -t filter -N CNETSH-web
# What comes from br0 may go on, also where Docker has made DROP the policy of FORWARD.
iptables -w -t filter -A CNETSH-web -i br0 -m comment --comment cnetsh:web -j ACCEPT
# Answers may come back to it.
iptables -w -t filter -A CNETSH-web -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment cnetsh:web -j ACCEPT
# Anyone may begin to talk to the published port 80/tcp.
iptables -w -t filter -A CNETSH-web -d 172.18.0.10/32 -o br0 -p tcp -m tcp --dport 80 -m comment --comment cnetsh:web -j ACCEPT
# Packets meet the lab's rules before those that are there already; the policy stays as it is.
iptables -w -t filter -I FORWARD -m comment --comment cnetsh:web -j CNETSH-web
# Another chain for translation of source addresses (NAT).
iptables -w -t nat -N CNETSH-web
# A neighbour that asks for a published port must get its answer by the same way, through the host.
iptables -w -t nat -A CNETSH-web -s 172.18.0.0/16 -o br0 -m conntrack --ctstate DNAT -m comment --comment cnetsh:web -j MASQUERADE
# Elsewhere nobody knows 172.18.0.0/16: what leaves gets the host's address, and answers find back.
iptables -w -t nat -A CNETSH-web -s 172.18.0.0/16 ! -o br0 -m comment --comment cnetsh:web -j MASQUERADE
# Translation of sources comes last, when the packet's way is known.
iptables -w -t nat -A POSTROUTING -m comment --comment cnetsh:web -j CNETSH-web
# A chain for translation of destinations.
iptables -w -t nat -N CNETSH-web-DNAT
# The host's port 8080/tcp leads to 172.18.0.10:80.
iptables -w -t nat -A CNETSH-web-DNAT -p tcp -m tcp --dport 8080 -m comment --comment cnetsh:web -j DNAT --to-destination 172.18.0.10:80
# From outside: before the packet's way is chosen, if it is for an address of the host.
iptables -w -t nat -A PREROUTING -m addrtype --dst-type LOCAL -m comment --comment cnetsh:web -j CNETSH-web-DNAT
# From the host itself, at any address of its own but the loopback's: a packet from there may not leave.
iptables -w -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -m comment --comment cnetsh:web -j CNETSH-web-DNAT

## Forwarding
# A host keeps what is not addressed to it until it is told to pass packets on.
echo 1 | tee /proc/sys/net/ipv4/ip_forward

## Bridges up
# Last of all: while br0 is down, ports that come up have nobody to announce themselves to.
ip link set br0 up
#### check
## To the gateway
# Through the cable and the bridge to the host: link, address and route are right.
ip netns exec web ping -c1 -W1 172.18.0.1
ip netns exec client ping -c1 -W1 172.18.0.1

## Between containers
# web reaches client.
ip netns exec web ping -c1 -W1 172.18.0.2

## Published ports
# The host's own port leads to web.
#: listen web 80/tcp
timeout 1 bash -c '</dev/tcp/172.18.0.1/8080'
# web calls itself: out by its cable, and in again by the same.
#: listen web 80/tcp
ip netns exec web timeout 1 bash -c '</dev/tcp/172.18.0.1/8080'
# client calls the host's port.
#: listen web 80/tcp
ip netns exec client timeout 1 bash -c '</dev/tcp/172.18.0.1/8080'
# From outside, at the host's address there.
#: needs netns internet
#: listen web 80/tcp
ip netns exec internet timeout 1 bash -c '</dev/tcp/10.0.2.15/8080'

## The Internet
# Out there the packet has the host's address, and the answer finds back by it.
#: needs route 1.1.1.1
ip netns exec web ping -c1 -W1 1.1.1.1

#### down
## Rules of iptables
# First the ways into the lab's chains, then the chains: a chain in use cannot be deleted.
iptables -w -t nat -D OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -m comment --comment cnetsh:web -j CNETSH-web-DNAT
iptables -w -t nat -D PREROUTING -m addrtype --dst-type LOCAL -m comment --comment cnetsh:web -j CNETSH-web-DNAT
iptables -w -t nat -F CNETSH-web-DNAT
iptables -w -t nat -X CNETSH-web-DNAT
# Without this way in, nothing is translated any more.
iptables -w -t nat -D POSTROUTING -m comment --comment cnetsh:web -j CNETSH-web
iptables -w -t nat -F CNETSH-web
iptables -w -t nat -X CNETSH-web
# FORWARD is again what it was.
iptables -w -t filter -D FORWARD -m comment --comment cnetsh:web -j CNETSH-web
iptables -w -t filter -F CNETSH-web
iptables -w -t filter -X CNETSH-web

## Forwarding
# No router any more, unless it was one before: then that is put back.
echo 0 | tee /proc/sys/net/ipv4/ip_forward

## Bridges
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete br0

## Namespaces
# A namespace takes its end of each cable with it, and so the other end: a moment after the command returns.
ip netns delete web
ip netns delete client
