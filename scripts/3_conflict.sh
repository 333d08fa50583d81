#!/bin/bash
#
# Two containers, one subnet, no bridge
#
# What breaks when the single container is simply built twice: two equal routes on the
# host, of which only the first is ever used.
#
# It changes the network of the machine that it runs on: use a virtual machine. `cnetsh up` runs the
# same commands in a sandbox. Written by `cnetsh script`, from the templates.
#
# Give bash this file, and one of these words:
#
#     add       build it; if that fails halfway, take back what was built
#     step      the same, one command at a time, for a class
#     check     try what must work, and what must fail
#     delete    delete what was built, and nothing else

if [ -z "${BASH_VERSION:-}" ]; then
    echo "This script is written for bash: type bash $0, not sh $0." >&2
    exit 2
fi
set -euo pipefail
lab=conflict

# What `add` makes is noted in a folder of yours, with what tells it from a later one of its name.
for folder in "${XDG_RUNTIME_DIR:-}" "/run/user/$UID" /tmp; do [ ! -w "$folder" ] || break; done
folder="$folder/cnetsh-scripts-$UID"
notes="$folder/$lab.$(stat -Lc %i /proc/self/ns/net).$(</proc/sys/kernel/random/boot_id)"

# Only root can look at rules, and into a namespace: of those it is noted that they were done.
identity() {
    local name=${1#*/} seen
    case "$1" in
        link/*)
            seen=$(head -n 1 "/proc/net/dev_snmp6/$name"; stat -Lc %i "/sys/class/net/$name")
            [ ! -e "/proc/sys/net/ipv4/conf/$name" ] || echo "link $seen" ;;
        netns/*) stat -c '%i %z' "/run/$1" ;; # its number is given out again, its birth is not
        /etc/*) stat -c '%i %w' "$1" ;;
        /*) cat "$1" ;; # a setting is what it says
        *) echo 'done' ;;
    esac 2>/dev/null || :
}
free() { # before anything is changed
    local name taken=''
    [ ! -e "$notes" ] || refuse "it is added already; 'delete' deletes it, or forgets what is gone"
    for name; do [ -z "$(identity "$name")" ] || taken+=" $name"; done
    [ -z "$taken" ] || refuse "nothing was changed, for somebody else has:$taken"
    mkdir -m 700 "$folder" 2>/dev/null || :
    [ "$(stat -c '%u %a %F' "$folder")" = "$UID 700 directory" ] || refuse "$folder is not yours alone"
    mkdir "$notes" && trap take_back EXIT
}
was() { for name; do identity "$name" >"$notes/was${name//\//:}"; done; }
made() { for name; do identity "$name" >"$notes/${name//\//:}"; done && [ -z "$stopped" ] || exit; }
gone() { for name; do rm -f "$notes/${name//\//:}" "$notes/was${name//\//:}"; done; }
mine() { # is it there, and the very one that was made?
    local note="$notes/${1//\//:}" now
    [ -e "$note" ] || return 1
    now=$(identity "$1")
    [ "$now" != "$(<"$note")" ] || return 0
    tell "$1 is $([ -z "$now" ] && echo gone already || echo no longer what was added, and stays)"
    gone "$1" && return 1
}

# `made` notes what the command above it has made, `gone` that it is not here any more.
add() {
    # Whoever has one of these names before is somebody else.
    free netns/net0 link/veth0 link/ceth0 netns/net1 link/veth1 link/ceth1

    ## Container net0

    # A stack of its own for net0: empty but for a lo that is down.
    sudo ip netns add net0
    made netns/net0

    # The cable between the host and net0.
    sudo ip link add veth0 type veth peer name ceth0
    made link/veth0 link/ceth0

    # veth0 is up without a carrier until ceth0 is up too.
    sudo ip link set veth0 up

    # The host gains a connected route to 172.16.0.0/12 by veth0. Every container adds an
    # equal one, and the lookup takes the oldest that is usable: veth0.
    sudo ip addr add 172.18.0.100/12 dev veth0

    # ceth0 leaves the host; a move would have cost it any address it had.
    sudo ip link set ceth0 netns net0
    gone link/ceth0

    # The container's own address, 172.18.0.10.
    sudo ip netns exec net0 ip addr add 172.18.0.10/12 dev ceth0

    # Carrier on both ends: the connected route appears in net0.
    sudo ip netns exec net0 ip link set ceth0 up

    # With lo up, net0 can talk to itself.
    sudo ip netns exec net0 ip link set lo up

    ## Container net1

    # A stack of its own for net1: empty but for a lo that is down.
    sudo ip netns add net1
    made netns/net1

    # The cable between the host and net1.
    sudo ip link add veth1 type veth peer name ceth1
    made link/veth1 link/ceth1

    # veth1 is up without a carrier until ceth1 is up too.
    sudo ip link set veth1 up

    # The host gains a connected route to 172.16.0.0/12 by veth1. Every container adds an
    # equal one, and the lookup takes the oldest that is usable: veth0.
    sudo ip addr add 172.18.0.101/12 dev veth1

    # ceth1 leaves the host; a move would have cost it any address it had.
    sudo ip link set ceth1 netns net1
    gone link/ceth1

    # The container's own address, 172.18.0.20.
    sudo ip netns exec net1 ip addr add 172.18.0.20/12 dev ceth1

    # Carrier on both ends: the connected route appears in net1.
    sudo ip netns exec net1 ip link set ceth1 up

    # With lo up, net1 can talk to itself.
    sudo ip netns exec net1 ip link set lo up
}

# Deletes only what `add` has made, and goes on when a command fails.
delete() {
    ## The containers

    # net0 goes, ceth0 with it, and therefore veth0 and its route on the host.
    mine netns/net0 &&
        sudo ip netns delete net0 &&
        gone netns/net0

    # net1 goes, ceth1 with it, and therefore veth1 and its route on the host.
    mine netns/net1 &&
        sudo ip netns delete net1 &&
        gone netns/net1

    # An end that is still here: `add` stopped before it moved, or somebody moved the other.
    local ends=(ceth0 ceth1) end
    for end in "${ends[@]}"; do
        mine "link/$end" && sudo ip link delete dev "$end" && gone "link/$end"
    done

    # A cable goes with a namespace; but a process that is left inside keeps both.
    local cables=(veth0 veth1) end
    for end in "${cables[@]}"; do
        still "link/$end" && sudo ip link delete dev "$end" && gone "link/$end"
    done

    all_gone
}

check() {
    # Equal routes to 172.16.0.0/12, one for each cable.
    look ip route

    # The choice for 172.18.0.20: the wrong cable, veth0.
    look ip route get 172.18.0.20

    # net0 is on the cable that the host prefers, so the answer comes back.
    works sudo ip netns exec net0 ping -c1 -W1 172.18.0.100

    # Even the other cable's host end answers: an address belongs to the host, not to one
    # interface.
    works sudo ip netns exec net0 ping -c1 -W1 172.18.0.101

    # The host asks on veth0 and net0 hears it.
    works ping -c1 -W1 172.18.0.10

    # Two cables are two separate links: no ARP question crosses from one to the other.
    fails "nothing joins veth0 and veth1; a bridge would" sudo ip netns exec net0 ping -c1 -W1 172.18.0.20

    # The request arrives on veth1. The answer looks for 172.18.0.20 on the other cable, where
    # nobody has that address.
    fails "the host sends the answer out of veth0, the first of its equal routes" sudo ip netns exec net1 ping -c1 -W1 172.18.0.100

    # Not even its own host end, one cable away, can answer net1: the way back is the same
    # wrong route.
    fails "the host sends the answer out of veth0, the first of its equal routes" sudo ip netns exec net1 ping -c1 -W1 172.18.0.101

    # The host asks for 172.18.0.20 on veth0 and gets no answer to its ARP question: after a
    # while, `Destination Host Unreachable`.
    fails "the host looks for 172.18.0.20 behind veth0, where only net0 listens" ping -c1 -W1 172.18.0.20

    # `Network is unreachable`: this address matches no route in net0.
    fails "net0 has a route to 172.16.0.0/12 only, and no default route" sudo ip netns exec net0 ping -c1 -W1 10.0.2.15

    # 172.18.0.20 is listed as INCOMPLETE or FAILED on veth0: asked for, never found.
    look ip neigh
}

# Is it there even after the moment in which a cable goes with its namespace?
still() {
    local now
    for _ in {1..100}; do
        now=$(identity "$1")
        [ -n "$now" ] || { gone "$1" && return 1; }
        [ "$now" = "$(cat "$notes/${1//\//:}" 2>/dev/null)" ] || break
        sleep 0.1
    done
    mine "$1"
}

all_gone() {
    if rmdir "$notes" 2>/dev/null; then
        rmdir "$folder" 2>/dev/null || :
        return 0
    fi
    echo "$lab: still here: $(cd "$notes" && echo *)" >&2
    echo "Try delete again; what you have removed by hand, forget with: rm -r $notes" >&2
    return 1
}

# Ctrl-C waits for the command that runs, so that what it makes is noted.
stop() {
    stopped=$1
    [ -z "$waiting" ] || exit
}

# A command of `add` has failed, or you have pressed Ctrl-C.
take_back() {
    trap - EXIT DEBUG
    trap '' HUP INT TERM
    echo "$lab: stopped halfway, so what was added is deleted" >&2
    delete || exit 3
    exit "${stopped:-1}"
}

as_typed() {
    local word words=""
    [ "$1" != sudo ] || [ "$(type -t sudo)" = file ] || shift
    for word; do
        if [[ $word == *[^A-Za-z0-9_./:@%+=,-]* ]]; then word="'$word'"; fi
        words+=" $word"
    done
    echo "${words# }"
}

# What `check` tries is what `add` ends with, as one types it: a ping goes on until it is stopped.
works() {
    local words
    words=$(as_typed "$@")
    if [ "$verb" != check ]; then
        tell "${words/ping -c1 -W1/ping}"
    elif comes_back "$@"; then
        tell "ok      $words"
        tried=yes
    else
        failed "$words"
    fi
}
# The first packets after a link has come up may be lost.
comes_back() { "$@" || "$@" || "$@"; } >/dev/null 2>&1
fails() {
    local why=$1 words
    words=$(as_typed "${@:2}")
    if [ "$verb" != check ]; then
        tell "${words/ping -c1 -W1/ping}  # fails: $why"
    elif "${@:2}" >/dev/null 2>&1; then
        failed "$words  # works, and must not: $why"
    else
        tell "ok      $words  # fails, as it must: $why"
        tried=yes
    fi
}
look() {
    if [ "$verb" = add ]; then
        tell "$(as_typed "$@")"
    else
        tell "\$ $(as_typed "$@")"
        "$@" || failed "$*"
    fi
}
has() {
    local why="there is no $*"
    [ "$verb" = check ] || return 0
    case "$1" in
        route) ip route get "$2" >/dev/null 2>&1 && return ;;
        address) [ -z "$(ip -oneline address show to "$2")" ] || return 0 ;;
        netns) [ ! -e "/run/netns/$2" ] || return 0 ;;
        listen) [ -z "$("${@:2}" 2>/dev/null)" ] || return 0; why="nothing listens: $(as_typed "${@:2}")" ;;
        # What must fail shows something only where this works.
        control) comes_back "${@:2}" && return || why="this fails too: ${*:2}" ;;
    esac
    tell "not tried, for $why"
    untried=yes
    return 1
}
failed() {
    echo "failed  $*"
    bad=yes
}

# Before each command of `add`: what the last one has changed, then the page up to the next.
turn() {
    local at=${BASH_LINENO[0]} command
    [ "${FUNCNAME[1]}" = add ] && [ "$at" != "$shown" ] || return 0
    command=$(sed -n "${at}s/^ *//p" "$0")
    case "$command" in add\(* | free\ * | was\ * | made\ * | gone\ *) return 0 ;; esac
    changed
    awk -v at="$at" 'NR == at { printf "%s%s\n", page, $0; exit }
        /^ *(#|$)/ { page = page $0 "\n"; next } !/^ *(was|\/proc)/ { page = "" }' "$0"
    printf '[Enter] '
    waiting=yes
    read -r || exit 1
    waiting='' shown=$at ran=$command
}
changed() {
    local inside=() path
    [[ ! $ran =~ "sudo ip netns exec "[^[:space:]]+ ]] || read -ra inside <<<"${BASH_REMATCH[0]}"
    case "$ran" in
        '') ;;
        *'tables '*)
            read -ra inside <<<"${ran%% -[AIN] *} -S"
            look "${inside[@]}"
            ;;
        *'tee '*)
            read -r path _ <<<"${ran##*tee }"
            look "${inside[@]}" cat "$path"
            ;;
        *'netns add '*) look ip netns list ;;
        *)
            look "${inside[@]}" ip -brief address
            look "${inside[@]}" ip route
            ;;
    esac
}

verb='' quiet='' stopped='' tried='' untried='' bad='' shown='' ran='' waiting=''
tell() { [ -n "$quiet" ] || printf '%s\n' "$*"; }
refuse() { echo "$lab: $*" >&2 && exit 2; }
for word; do
    if [ "$word" = --quiet ]; then quiet=yes; else verb+="${verb:+ }$word"; fi
done
if [[ ! $verb =~ ^(add|step|check|delete)$ ]]; then
    echo "Usage: $0 [--quiet] add|delete|check|step" >&2
    exit 2
fi
if ! command -v sudo >/dev/null; then
    [ "$UID" = 0 ] || refuse "it needs sudo, or root"
    sudo() { "$@"; }
fi
case "$verb" in
    add | step)
        trap 'stop 129' HUP
        trap 'stop 130' INT
        trap 'stop 143' TERM
        if [ "$verb" = step ]; then
            [ -f "$0" ] || refuse "step reads the script, so it must be in a file"
            set -o functrace
            trap turn DEBUG
        fi
        add
        trap - DEBUG
        [ -z "$stopped" ] || exit "$stopped"
        trap - EXIT
        changed
        tell "What to try now (bash $0 check tries all of it):"
        verb=add
        check | sed -n '1,12p'
        ;;
    delete | check)
        [ -e "$notes" ] || refuse "nothing is noted as added, so nothing is done: see $notes"
        if [ "$verb" = delete ]; then delete || exit 3; fi
        if [ "$verb" = check ]; then check || :; fi
        [ -z "$untried" ] || [ -n "$tried$bad" ] || failed "none of the checks was tried"
        [ -z "$bad" ]
        ;;
esac
