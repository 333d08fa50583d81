#!/bin/bash
#
# Two containers, one subnet, no bridge
#
# What breaks when the single container is simply built twice: two equal routes on the
# host, of which only the first is ever used.
#
# It changes the network of the machine that it runs on: use a virtual machine. `cnetsh up` runs the
# same commands in a sandbox. Written by `cnetsh script`, from the templates.

set -euo pipefail

add() {
    ## Container net0

    # A stack of its own for net0: empty but for a lo that is down.
    sudo ip netns add net0

    # The cable between the host and net0.
    sudo ip link add veth0 type veth peer name ceth0

    # veth0 is up without a carrier until ceth0 is up too.
    sudo ip link set veth0 up

    # The host gains a connected route to 172.16.0.0/12 by veth0. Every container adds an
    # equal one, and the lookup takes the oldest that is usable: veth0.
    sudo ip addr add 172.18.0.100/12 dev veth0

    # ceth0 leaves the host; a move would have cost it any address it had.
    sudo ip link set ceth0 netns net0

    # The container's own address, 172.18.0.10.
    sudo ip netns exec net0 ip addr add 172.18.0.10/12 dev ceth0

    # Carrier on both ends: the connected route appears in net0.
    sudo ip netns exec net0 ip link set ceth0 up

    # With lo up, net0 can talk to itself.
    sudo ip netns exec net0 ip link set lo up

    ## Container net1

    # A stack of its own for net1: empty but for a lo that is down.
    sudo ip netns add net1

    # The cable between the host and net1.
    sudo ip link add veth1 type veth peer name ceth1

    # veth1 is up without a carrier until ceth1 is up too.
    sudo ip link set veth1 up

    # The host gains a connected route to 172.16.0.0/12 by veth1. Every container adds an
    # equal one, and the lookup takes the oldest that is usable: veth0.
    sudo ip addr add 172.18.0.101/12 dev veth1

    # ceth1 leaves the host; a move would have cost it any address it had.
    sudo ip link set ceth1 netns net1

    # The container's own address, 172.18.0.20.
    sudo ip netns exec net1 ip addr add 172.18.0.20/12 dev ceth1

    # Carrier on both ends: the connected route appears in net1.
    sudo ip netns exec net1 ip link set ceth1 up

    # With lo up, net1 can talk to itself.
    sudo ip netns exec net1 ip link set lo up

    # What to try now:
    cat <<'NEXT'
ip route
ip route get 172.18.0.20
sudo ip netns exec net0 ping 172.18.0.100
sudo ip netns exec net0 ping 172.18.0.101
ping 172.18.0.10
sudo ip netns exec net0 ping 172.18.0.20  # fails: nothing joins veth0 and veth1; a bridge would
sudo ip netns exec net1 ping 172.18.0.100  # fails: the host sends the answer out of veth0, the first of its equal routes
sudo ip netns exec net1 ping 172.18.0.101  # fails: the host sends the answer out of veth0, the first of its equal routes
ping 172.18.0.20  # fails: the host looks for 172.18.0.20 behind veth0, where only net0 listens
sudo ip netns exec net0 ping 10.0.2.15  # fails: net0 has a route to 172.16.0.0/12 only, and no default route
ip neigh
NEXT
}

# Goes on when a command fails: what is gone already must not keep the rest alive.
delete() {
    local failed=0

    ## The containers

    # net0 goes, ceth0 with it, and therefore veth0 and its route on the host.
    sudo ip netns delete net0 || failed=1

    # net1 goes, ceth1 with it, and therefore veth1 and its route on the host.
    sudo ip netns delete net1 || failed=1

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
