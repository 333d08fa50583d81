#!/bin/bash
#
# A veth pair
#
# A virtual cable between two interfaces, and the connected route that the kernel adds by
# itself when an address with a prefix length is put on a link that is up.
#
# It changes the network of the machine that it runs on: use a virtual machine. `cnetsh up` runs the
# same commands in a sandbox. Written by `cnetsh script`, from the templates.

set -euo pipefail

add() {
    ## The cable

    # The two ends are born together, and what enters one end leaves by the other. Both are
    # down, and `ip address` marks each M-DOWN because the far end is down too.
    sudo ip link add veth0 type veth peer name ceth0

    # Setting a link up is the owner's wish to use it. The cable has no carrier yet: that
    # takes both ends.
    sudo ip link set veth0 up

    # Now both ends are up: M-DOWN is gone, LOWER_UP appears and frames can pass.
    sudo ip link set ceth0 up

    ## The addresses

    # The prefix length tells the kernel which neighbours are on this cable. On a link that is
    # up it adds the connected route 172.16.0.0/12; with a bare address it would add none.
    sudo ip addr add 172.18.0.10/12 dev veth0

    # A second route to 172.16.0.0/12 appears, but the lookup takes the first. Both addresses
    # belong to this host, so packets between them go through lo and not over the cable.
    sudo ip addr add 172.18.0.20/12 dev ceth0

    # What to try now:
    cat <<'NEXT'
ip route
ip route get 172.18.0.20
ping 172.18.0.10
ping 172.18.0.20
NEXT
}

# Goes on when a command fails: what is gone already must not keep the rest alive.
delete() {
    local failed=0

    ## The cable

    # No cable has a single end: deleting one removes the other, with the addresses and routes
    # of both.
    sudo ip link delete veth0 || failed=1

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
