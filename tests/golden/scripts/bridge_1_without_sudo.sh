#!/bin/bash
#
# Containers on a bridge
#
# A bridge is a switch in software: containers on it share one link and one subnet, and
# its own address is their gateway to the host.
#
# It changes the network of the machine that it runs on: use a virtual machine. `cnetsh up` runs the
# same commands in a sandbox. Written by `cnetsh script`, from the templates.

set -euo pipefail

add() {
    ## Bridge br0

    # A bridge is a switch: it learns which MAC address is behind which port and sends frames
    # only there.
    ip link add name br0 type bridge

    # The bridge is also a link of the host. With an address it becomes the containers'
    # gateway, and the host's route to 172.16.0.0/12.
    ip address add 172.18.0.1/12 dev br0

    # A new link is down whatever it is. Up, it lets the connected route 172.16.0.0/12 appear.
    ip link set br0 up

    ## Container net0

    # A network stack for net0, empty but for a lo that is down and stays so in this lab: a
    # container that cannot ping itself.
    ip netns add net0

    # The cable from net0 to the switch.
    ip link add veth0 type veth peer name ceth0

    # The port waits for its carrier: the far end is still down.
    ip link set veth0 up

    # Plugged in: what veth0 receives now goes to br0 instead of the host's own IP stack,
    # which is why it gets no address.
    ip link set dev veth0 master br0

    # ceth0 vanishes from the host and arrives down and without an address in net0.
    ip link set ceth0 netns net0

    # Only containers in one subnet ask for each other by ARP; the prefix length says which
    # they are.
    ip netns exec net0 ip address add 172.18.0.10/12 dev ceth0

    # Both ends are up: the port gets its carrier, and net0 its connected route.
    ip netns exec net0 ip link set ceth0 up

    # Everything outside 172.16.0.0/12 goes to br0. The kernel accepts a gateway only when a
    # route to it exists already, so this comes last.
    ip netns exec net0 ip route add default via 172.18.0.1

    # What to try now:
    cat <<'NEXT'
ip netns exec net0 ping 172.18.0.1
ping 172.18.0.10
ip netns exec net0 ping 10.0.2.15
ip netns exec net0 ping 172.18.0.10  # fails: lo is down in net0
ip netns exec net0 ping 1.1.1.1  # fails: the host neither forwards nor translates for 172.16.0.0/12
bridge link show
NEXT
}

# Goes on when a command fails: what is gone already must not keep the rest alive.
delete() {
    local failed=0

    ## Bridge br0

    # The ports lose their master and stay; the address and the route to 172.16.0.0/12 go with
    # the bridge.
    ip link delete br0 || failed=1

    ## The containers

    # net0 takes ceth0 with it and so veth0, a moment after the command has returned.
    ip netns delete net0 || failed=1

    return "$failed"
}

case "$*" in
    add) add ;;
    delete) delete ;;
    *)
        printf 'Usage: %s add|delete\n' "$0" >&2
        exit 1
        ;;
esac
