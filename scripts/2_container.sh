#!/bin/bash
#
# One container
#
# A network namespace has links, routes and rules of its own. One end of a veth pair moved
# into it is its only way out.
#
# It changes the network of the machine that it runs on: use a virtual machine. `cnetsh up` runs the
# same commands in a sandbox. Written by `cnetsh script`, from the templates.

set -euo pipefail

add() {
    ## The namespace

    # A new network namespace is an empty stack: no routes, no rules, and one link, a lo that
    # is down. The file /run/netns/net0 keeps it alive while no process is inside.
    sudo ip netns add net0

    ## The cable

    # Both ends start in the host's namespace; one of them moves in a moment.
    sudo ip link add veth0 type veth peer name ceth0

    # The host end is up, but has no carrier as long as the peer is down.
    sudo ip link set veth0 up

    # The kernel adds the connected route 172.16.0.0/12 and marks it linkdown: known, but not
    # usable until the far end comes up.
    sudo ip addr add 172.18.0.10/12 dev veth0

    ## Inside net0

    # A link is in one namespace at a time, so the host no longer lists ceth0. A move takes a
    # link down and drops its addresses and routes: that is why the inside is set up after it.
    sudo ip link set ceth0 netns net0

    # `ip netns exec` runs a command whose network is that of net0. The address waits: its
    # route comes when the link is up.
    sudo ip netns exec net0 ip addr add 172.18.0.20/12 dev ceth0

    # Now both ends are up. The container gets its connected route, and linkdown vanishes from
    # the host's.
    sudo ip netns exec net0 ip link set ceth0 up

    # Each namespace has a loopback of its own, and it starts down. Up, it gets 127.0.0.1, and
    # the container can reach its own addresses: packets to oneself always pass through lo.
    sudo ip netns exec net0 ip link set lo up

    # What to try now:
    cat <<'NEXT'
sudo ip netns exec net0 ip route
ping 172.18.0.10
ping 172.18.0.20
sudo ip netns exec net0 ping 172.18.0.10
sudo ip netns exec net0 ping 172.18.0.20
sudo ip netns exec net0 ping 10.0.2.15  # fails: net0 has a route to 172.16.0.0/12 only, and no default route
NEXT
}

# Goes on when a command fails: what is gone already must not keep the rest alive.
delete() {
    local failed=0

    ## The namespace

    # Deleting the namespace deletes the peer inside it, and the pair dies with either end.
    # The kernel does this a moment after the command has returned, and only when no process
    # is left inside.
    sudo ip netns delete net0 || failed=1

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
