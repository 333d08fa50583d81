#### up
## Bridges
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name front address 02:27:cd:de:47:97 type bridge
# A bridge is a switch in software. Its MAC address is given: left alone it would borrow a port's and
# change as ports come and go.
ip link add name back address 02:74:d7:69:f2:0c type bridge
# With an address of its own front is also a link of the host, and the containers' gateway.
ip address add 10.10.0.1/24 dev front
# With an address of its own back is also a link of the host, and the containers' gateway.
ip address add 10.20.0.1/24 dev back

## Namespaces
# Each container is a network namespace: links, addresses, routes and rules of its own, empty at first.
ip netns add proxy
ip netns add app
ip netns add db

## Name servers
# One folder for the files of all namespaces. It is no lab's own, so it stays.
#: undo none: empty, it has no effect
mkdir -p /etc/netns
# A namespace isolates the network and no files: app would read the host's /etc/resolv.conf.
mkdir /etc/netns/app
# `ip netns exec app` mounts this file over /etc/resolv.conf, for its command alone.
echo nameserver 1.1.1.1 | tee /etc/netns/app/resolv.conf
echo nameserver 9.9.9.9 | tee -a /etc/netns/app/resolv.conf

## Cables
# A veth pair is a cable: what enters one end leaves the other. The far end is born in its container,
# which is about fifteen times faster than moving it there.
ip link add tiers-0 type veth peer name ceth0 netns proxy
# The host end waits for its carrier: the far end is still down.
ip link set tiers-0 up
# Plugged into the bridge: what tiers-0 receives is now front's to pass on.
ip link set dev tiers-0 master front
ip link add tiers-1 type veth peer name ceth1 netns app
ip link set tiers-1 up
ip link set dev tiers-1 master front
ip link add tiers-2 type veth peer name ceth2 netns app
ip link set tiers-2 up
ip link set dev tiers-2 master back
ip link add tiers-3 type veth peer name ceth3 netns db
ip link set tiers-3 up
ip link set dev tiers-3 master back
# A container that asks for its own published port is answered by itself: where iptables sees what a bridge
# passes on (bridge-nf-call-iptables), its packet has to leave by the port that it came in by.
ip link set dev tiers-0 type bridge_slave hairpin on

## Inside proxy
# Its address and, by the prefix length, which others are on the same link.
ip netns exec proxy ip address add 10.10.0.2/24 dev ceth0
# Both ends are up: the cable has its carrier, and the connected route appears.
ip netns exec proxy ip link set ceth0 up
# A container talks to itself through lo, which is down in every new namespace.
ip netns exec proxy ip link set lo up
# The way to what is not on the link. The kernel accepts a next hop only when it can reach it already.
ip netns exec proxy ip route add default via 10.10.0.1

## Inside app
ip netns exec app ip address add 10.10.0.3/24 dev ceth1
ip netns exec app ip address add 10.20.0.2/24 dev ceth2
ip netns exec app ip link set ceth1 up
ip netns exec app ip link set ceth2 up
ip netns exec app ip link set lo up
ip netns exec app ip route add default via 10.10.0.1

## Inside db
# A setting of db alone: each namespace has its own.
echo 1 | ip netns exec db tee /proc/sys/net/ipv4/conf/all/rp_filter
ip netns exec db ip address add 10.20.0.3/24 dev ceth3
ip netns exec db ip link set ceth3 up
ip netns exec db ip link set lo up
ip netns exec db ip route add default via 10.20.0.1

## Rules of iptables
# The lab's rules stand in chains of its own, so that nobody else's are touched.
iptables -w -t filter -N CNETSH-tiers
# back is isolated: nothing from it goes further.
iptables -w -t filter -A CNETSH-tiers -i back ! -o back -m comment --comment cnetsh:tiers -j DROP
# And nothing from elsewhere comes into it.
iptables -w -t filter -A CNETSH-tiers ! -i back -o back -m comment --comment cnetsh:tiers -j DROP
# Neighbours on back may talk; a kernel with bridge-nf-call-iptables asks here even for them.
iptables -w -t filter -A CNETSH-tiers -i back -o back -m comment --comment cnetsh:tiers -j ACCEPT
# What comes from front may go on, also where Docker has made DROP the policy of FORWARD.
iptables -w -t filter -A CNETSH-tiers -i front -m comment --comment cnetsh:tiers -j ACCEPT
# Answers may come back to it.
iptables -w -t filter -A CNETSH-tiers -o front -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment cnetsh:tiers -j ACCEPT
# Anyone may begin to talk to the published port 443/tcp.
iptables -w -t filter -A CNETSH-tiers -d 10.10.0.2/32 -o front -p tcp -m tcp --dport 443 -m comment --comment cnetsh:tiers -j ACCEPT
# Packets meet the lab's rules before those that are there already; the policy stays as it is.
iptables -w -t filter -I FORWARD -m comment --comment cnetsh:tiers -j CNETSH-tiers
# Another chain for translation of source addresses (NAT).
iptables -w -t nat -N CNETSH-tiers
# A neighbour that asks for a published port must get its answer by the same way, through the host.
iptables -w -t nat -A CNETSH-tiers -s 10.10.0.0/24 -o front -m conntrack --ctstate DNAT -m comment --comment cnetsh:tiers -j MASQUERADE
# Elsewhere nobody knows 10.10.0.0/24: what leaves gets the host's address, and answers find back.
iptables -w -t nat -A CNETSH-tiers -s 10.10.0.0/24 ! -o front -m comment --comment cnetsh:tiers -j MASQUERADE
# Translation of sources comes last, when the packet's way is known.
iptables -w -t nat -A POSTROUTING -m comment --comment cnetsh:tiers -j CNETSH-tiers
# A chain for translation of destinations.
iptables -w -t nat -N CNETSH-tiers-DNAT
# The host's port 8443/tcp leads to 10.10.0.2:443.
iptables -w -t nat -A CNETSH-tiers-DNAT -p tcp -m tcp --dport 8443 -m comment --comment cnetsh:tiers -j DNAT --to-destination 10.10.0.2:443
# From outside: before the packet's way is chosen, if it is for an address of the host.
iptables -w -t nat -A PREROUTING -m addrtype --dst-type LOCAL -m comment --comment cnetsh:tiers -j CNETSH-tiers-DNAT
# From the host itself, at any address of its own but the loopback's: a packet from there may not leave.
iptables -w -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -m comment --comment cnetsh:tiers -j CNETSH-tiers-DNAT

## Forwarding
# A host keeps what is not addressed to it until it is told to pass packets on.
echo 1 | tee /proc/sys/net/ipv4/ip_forward

## Bridges up
# Last of all: while front is down, ports that come up have nobody to announce themselves to.
ip link set front up
# Last of all: while back is down, ports that come up have nobody to announce themselves to.
ip link set back up
#### check
## To the gateway
# Through the cable and the bridge to the host: link, address and route are right.
ip netns exec proxy ping -c1 -W1 10.10.0.1
ip netns exec app ping -c1 -W1 10.10.0.1
ip netns exec db ping -c1 -W1 10.20.0.1

## Between containers
# proxy reaches app.
ip netns exec proxy ping -c1 -W1 10.10.0.3
# db cannot reach proxy.
#: expect failure: back is isolated
#: control ip netns exec db ping -c1 -W1 10.20.0.1
#: control ip netns exec proxy ping -c1 -W1 10.10.0.1
ip netns exec db ping -c1 -W1 10.10.0.2

## Published ports
# The host's own port leads to proxy.
#: listen proxy 443/tcp
timeout 1 bash -c '</dev/tcp/10.10.0.1/8443'
# proxy calls itself: out by its cable, and in again by the same.
#: listen proxy 443/tcp
ip netns exec proxy timeout 1 bash -c '</dev/tcp/10.10.0.1/8443'
# db calls the host's port.
#: expect failure: back is isolated
#: control ip netns exec db ping -c1 -W1 10.20.0.1
#: control ping -c1 -W1 10.20.0.1
#: listen proxy 443/tcp
ip netns exec db timeout 1 bash -c '</dev/tcp/10.20.0.1/8443'
# From outside, at the host's address there.
#: needs netns internet
#: listen proxy 443/tcp
ip netns exec internet timeout 1 bash -c '</dev/tcp/10.0.2.15/8443'

## The Internet
# Out there the packet has the host's address, and the answer finds back by it.
#: needs route 1.1.1.1
ip netns exec proxy ping -c1 -W1 1.1.1.1
# back is isolated, so the Internet is as far away as any other network.
#: expect failure: back is isolated
#: control ip netns exec db ping -c1 -W1 10.20.0.1
#: control ping -c1 -W1 1.1.1.1
ip netns exec db ping -c1 -W1 1.1.1.1

## The lab file's own
# the application asks the database
ip netns exec app ping -c1 -W1 10.20.0.3
#: expect failure: nobody reaches the database but through the application
#: control ip netns exec proxy ping -c1 -W1 10.10.0.1
#: control ip netns exec db ping -c1 -W1 10.20.0.1
ip netns exec proxy ping -c1 -W1 10.20.0.3
#### down
## Rules of iptables
# First the ways into the lab's chains, then the chains: a chain in use cannot be deleted.
iptables -w -t nat -D OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -m comment --comment cnetsh:tiers -j CNETSH-tiers-DNAT
iptables -w -t nat -D PREROUTING -m addrtype --dst-type LOCAL -m comment --comment cnetsh:tiers -j CNETSH-tiers-DNAT
iptables -w -t nat -F CNETSH-tiers-DNAT
iptables -w -t nat -X CNETSH-tiers-DNAT
# Without this way in, nothing is translated any more.
iptables -w -t nat -D POSTROUTING -m comment --comment cnetsh:tiers -j CNETSH-tiers
iptables -w -t nat -F CNETSH-tiers
iptables -w -t nat -X CNETSH-tiers
# FORWARD is again what it was.
iptables -w -t filter -D FORWARD -m comment --comment cnetsh:tiers -j CNETSH-tiers
iptables -w -t filter -F CNETSH-tiers
iptables -w -t filter -X CNETSH-tiers

## Forwarding
# No router any more, unless it was one before: then that is put back.
echo 0 | tee /proc/sys/net/ipv4/ip_forward

## Bridges
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete front
# The ports lose their master and stay; the address and its route go with the bridge.
ip link delete back

## Name servers
# Only what the lab wrote: a folder with anything else in it stays.
rm -f /etc/netns/app/resolv.conf
rmdir /etc/netns/app

## Namespaces
# A namespace takes its end of each cable with it, and so the other end: a moment after the command returns.
ip netns delete proxy
ip netns delete app
ip netns delete db
