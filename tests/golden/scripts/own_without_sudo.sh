#!/bin/bash
#
# Own\x0a\x0atouch made
#
# First\x0atouch made
#
# It changes the network of the machine that it runs on: use a virtual machine. `cnetsh up` runs the
# same commands in a sandbox. Written by `cnetsh script`, from the templates.

set -euo pipefail

# The kernel's settings from before `add`, for `delete`. None of them outlives a boot.
before="${XDG_RUNTIME_DIR:-$HOME}/.cnetsh-own.$(</proc/sys/kernel/random/boot_id)"

remember() {
    local values
    [ ! -e "$before" ] || return 0
    values=$(grep -H '' /proc/sys/net/ipv4/tcp_rmem \
        /proc/sys/net/ipv6/conf/all/forwarding \
        /proc/sys/net/ipv6/conf/*/forwarding)
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
            echo "$value" | tee "$path" >/dev/null || missing=1
        fi
    done <"$before"
    [ "$missing" = 1 ] || rm -f "$before"
    return "$missing"
}

add() {
    remember

    ## Settings

    # Every $(touch made) `touch made` "quote' \ \x0d touch made
    echo 4096 131072 6291456 | tee /proc/sys/net/ipv4/tcp_rmem >/dev/null

    # In a namespace nothing has to be put back.
    ip netns add net0

    echo 1 | ip netns exec net0 tee /proc/sys/net/ipv4/ip_forward >/dev/null

    echo 1 | tee /proc/sys/net/ipv6/conf/all/forwarding >/dev/null

    # What to try now:
    cat <<'NEXT'
ping 10.0.0.1  # fails: it's $(touch made) `touch made`
NEXT
}

# Goes on when a command fails: what is gone already must not keep the rest alive.
delete() {
    local failed=0 value

    value=$(was /proc/sys/net/ipv6/conf/all/forwarding 0)
    echo "$value" | tee /proc/sys/net/ipv6/conf/all/forwarding >/dev/null || failed=1

    ip netns delete net0 || failed=1

    value=$(was /proc/sys/net/ipv4/tcp_rmem 0)
    echo "$value" | tee /proc/sys/net/ipv4/tcp_rmem >/dev/null || failed=1
    put_back || failed=1

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
