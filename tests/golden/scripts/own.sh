#!/bin/bash
#
# Own\x0a\x0atouch made
#
# First\x0atouch made
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
lab=own

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

# `made` notes what the command above it has made, `gone` that it is not here any more; `was` notes
# what settings are before a command.
add() {
    # Whoever has one of these names before is somebody else.
    free netns/net0

    ## Settings

    was /proc/sys/net/ipv4/tcp_rmem

    # Every $(touch made) `touch made` "quote' \ \x0d touch made
    echo 4096 131072 6291456 | sudo tee /proc/sys/net/ipv4/tcp_rmem >/dev/null
    made /proc/sys/net/ipv4/tcp_rmem

    # In a namespace nothing has to be put back.
    sudo ip netns add net0
    made netns/net0

    echo 1 | sudo ip netns exec net0 tee /proc/sys/net/ipv4/ip_forward >/dev/null

    was /proc/sys/net/ipv6/conf/all/forwarding \
        /proc/sys/net/ipv6/conf/*/forwarding

    echo 1 | sudo tee /proc/sys/net/ipv6/conf/all/forwarding >/dev/null
    made /proc/sys/net/ipv6/conf/all/forwarding \
        /proc/sys/net/ipv6/conf/*/forwarding
}

# Deletes only what `add` has made, and goes on when a command fails.
delete() {
    put_back /proc/sys/net/ipv6/conf/all/forwarding

    mine netns/net0 &&
        sudo ip netns delete net0 &&
        gone netns/net0

    put_back /proc/sys/net/ipv4/tcp_rmem

    all_gone
}

check() {
    fails "it's \$(touch made) \`touch made\`" ping -c1 -W1 10.0.0.1
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

# Writes what a setting was, and those that the kernel has set along with it. What somebody else has
# written since stays.
put_back() {
    local name=${1//\//:} path paths=("$1") values=() at
    [ -e "$notes/was$name" ] || return 0
    name=${name%:ip_forward}
    for path in "$notes/was${name%%:conf:*}":conf:*; do
        path=${path##*/was}
        paths+=("${path//:/\/}")
    done
    for path in "${paths[@]}"; do
        if mine "$path"; then path="$notes/was${path//\//:}"; fi
        values+=("$(identity "$path")")
    done
    if mine "$1"; then
        echo "${values[0]}" | sudo tee "$1" >/dev/null || return 0
    fi
    for at in "${!paths[@]}" "${!paths[@]}"; do
        path=${paths[$at]}
        if [ "$(identity "$path")" = "${values[$at]}" ] ||
            echo "${values[$at]}" | sudo tee "$path" >/dev/null; then
            gone "$path"
        fi
    done
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
