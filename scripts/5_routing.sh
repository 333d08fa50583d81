#!/bin/bash
#
# Routing and NAT
#
# The bridge lab, and what is missing between it and the Internet: the host has to forward
# packets, and to lend them its own address.
#
# It changes the network of the machine that it runs on: use a virtual machine. `cnetsh up` runs the
# same commands in a sandbox. Written by `cnetsh script`, from the templates.

set -euo pipefail

# The kernel's settings from before `add`, for `delete`. None of them outlives a boot.
before="${XDG_RUNTIME_DIR:-$HOME}/.cnetsh-routing.$(</proc/sys/kernel/random/boot_id)"

remember() {
    local values
    [ ! -e "$before" ] || return 0
    values=$(grep -H '' /proc/sys/net/ipv4/ip_forward \
        /proc/sys/net/ipv4/conf/*/forwarding \
        /proc/sys/net/ipv4/conf/all/accept_redirects)
    (umask 077 && printf '%s\n' "$values" >"$before")
}

# Prints what a setting was, or the second argument when nobody knows.
was() {
    local value=
    [ ! -e "$before" ] || value=$(sed -n "s|^$1:||p" "$before")
    echo "${value:-$2}"
}

# Writes only what differs, and forgets the values when all are in place.
put_back() {
    local path value missing=0
    [ -e "$before" ] || return 0
    while IFS=: read -r path value; do
        if [ -e "$path" ] && [ "$(<"$path")" != "$value" ]; then
            echo "$value" | sudo tee "$path" >/dev/null || missing=1
        fi
    done <"$before"
    [ "$missing" = 1 ] || rm -f "$before"
    return "$missing"
}

add() {
    remember

    ## Bridge br0

    # A bridge is a switch: it learns which MAC address is behind which port and sends frames
    # only there.
    sudo ip link add name br0 type bridge

    # The bridge is also a link of the host. With an address it becomes the containers'
    # gateway, and the host's route to 172.16.0.0/12.
    sudo ip address add 172.18.0.1/12 dev br0

    # A new link is down whatever it is. Up, it lets the connected route 172.16.0.0/12 appear.
    sudo ip link set br0 up

    ## Container net0

    # A network stack for net0, empty but for a lo that is down and stays so in this lab: a
    # container that cannot ping itself.
    sudo ip netns add net0

    # The cable from net0 to the switch.
    sudo ip link add veth0 type veth peer name ceth0

    # The port waits for its carrier: the far end is still down.
    sudo ip link set veth0 up

    # Plugged in: what veth0 receives now goes to br0 instead of the host's own IP stack,
    # which is why it gets no address.
    sudo ip link set dev veth0 master br0

    # ceth0 vanishes from the host and arrives down and without an address in net0.
    sudo ip link set ceth0 netns net0

    # Only containers in one subnet ask for each other by ARP; the prefix length says which
    # they are.
    sudo ip netns exec net0 ip address add 172.18.0.10/12 dev ceth0

    # Both ends are up: the port gets its carrier, and net0 its connected route.
    sudo ip netns exec net0 ip link set ceth0 up

    # Everything outside 172.16.0.0/12 goes to br0. The kernel accepts a gateway only when a
    # route to it exists already, so this comes last.
    sudo ip netns exec net0 ip route add default via 172.18.0.1

    ## Container net1

    # A network stack for net1, empty but for a lo that is down and stays so in this lab: a
    # container that cannot ping itself.
    sudo ip netns add net1

    # The cable from net1 to the switch.
    sudo ip link add veth1 type veth peer name ceth1

    # The port waits for its carrier: the far end is still down.
    sudo ip link set veth1 up

    # Plugged in: what veth1 receives now goes to br0 instead of the host's own IP stack,
    # which is why it gets no address.
    sudo ip link set dev veth1 master br0

    # ceth1 vanishes from the host and arrives down and without an address in net1.
    sudo ip link set ceth1 netns net1

    # Only containers in one subnet ask for each other by ARP; the prefix length says which
    # they are.
    sudo ip netns exec net1 ip address add 172.18.0.20/12 dev ceth1

    # Both ends are up: the port gets its carrier, and net1 its connected route.
    sudo ip netns exec net1 ip link set ceth1 up

    # Everything outside 172.16.0.0/12 goes to br0. The kernel accepts a gateway only when a
    # route to it exists already, so this comes last.
    sudo ip netns exec net1 ip route add default via 172.18.0.1

    ## The way out

    # A host drops packets meant for others; a router passes them on. The kernel also copies
    # this value to every interface's own `forwarding` and resets `accept_redirects`, which is
    # why undo puts back more than one number.
    echo 1 | sudo tee /proc/sys/net/ipv4/ip_forward >/dev/null

    # The Internet has no route to private addresses. MASQUERADE lends the packet the host's
    # address as it leaves by any link but br0, and connection tracking hands the answer back.
    # The kernel ignores the host bits: 172.18.0.0/12 means 172.16.0.0/12.
    sudo iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE

    # What to try now:
    cat <<'NEXT'
sudo ip netns exec net0 ping 172.18.0.1
sudo ip netns exec net0 ping 172.18.0.20
sudo ip netns exec net1 ping 172.18.0.1
sudo ip netns exec net1 ping 172.18.0.10
ping 172.18.0.10
sudo ip netns exec net0 ping 10.0.2.15
sudo ip netns exec net0 ping 172.18.0.10  # fails: lo is down in net0
sudo ip netns exec net0 ping 1.1.1.1
sudo ip netns exec net1 ping 1.1.1.1
sudo ip netns exec net0 ip neigh
sudo ip netns exec net1 ip neigh
NEXT
}

# Goes on when a command fails: what is gone already must not keep the rest alive.
delete() {
    local failed=0 value

    ## The way out

    # -D takes the first rule that reads the same as the one that was added.
    sudo iptables -t nat -D POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE || failed=1

    # The host stops being a router. cnetsh puts back the value that was there before, and its
    # family.
    value=$(was /proc/sys/net/ipv4/ip_forward 0)
    echo "$value" | sudo tee /proc/sys/net/ipv4/ip_forward >/dev/null || failed=1
    put_back || failed=1

    ## Bridge br0

    # The ports lose their master and stay; the address and the route to 172.16.0.0/12 go with
    # the bridge.
    sudo ip link delete br0 || failed=1

    ## The containers

    # net0 takes ceth0 with it and so veth0, a moment after the command has returned.
    sudo ip netns delete net0 || failed=1

    # net1 takes ceth1 with it and so veth1, a moment after the command has returned.
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
