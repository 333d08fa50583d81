#!/bin/sh
# Makes .venv with cnetsh, with `dev` behind it also its development tools; installs missing system tools first.
set -eu
cd "$(dirname "$0")"
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
missing=""
what=${1:-use}

have() { command -v "$1" >/dev/null 2>&1; }

# BusyBox has tools of the same names without the options that cnetsh needs.
is_from() { "$1" "$2" 2>&1 | grep -q "$3"; }

need() { case " $missing " in *" $1 "*) ;; *) missing="${missing:+$missing }$1" ;; esac; }

package_tool() {
    for tool in apt-get dnf apk pacman zypper; do
        if have "$tool"; then
            echo "$tool"
            return
        fi
    done
}

# The same tools have other package names elsewhere; the names used above are Debian's.
translate() {
    case "$(package_tool) $1" in
        "apt-get "*) echo "$1" ;;
        "dnf iproute2") echo iproute ;;
        "pacman python3") echo python ;;
        *" iputils-ping") echo iputils ;;
        *) echo "$1" ;;
    esac
}

install_command() {
    packages=""
    for name in $missing; do packages="$packages $(translate "$name")"; done
    case "$(package_tool)" in
        apt-get) echo "${1}apt-get update && ${1}apt-get install -y$packages" ;;
        dnf) echo "${1}dnf install -y$packages" ;;
        apk) echo "${1}apk add$packages" ;;
        pacman) echo "${1}pacman -Sy --noconfirm --needed$packages" ;;
        zypper) echo "${1}zypper --non-interactive install$packages" ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        echo ""
    elif have sudo && sudo -n true 2>/dev/null; then
        echo "sudo -n "
    else
        return 1
    fi
}

install_missing() {
    if [ -z "$(package_tool)" ]; then
        echo "setup: please install, no package manager found here: $missing" >&2
        exit 1
    elif prefix=$(as_root); then
        command=$(install_command "$prefix")
        echo "setup: $command" >&2
        DEBIAN_FRONTEND=noninteractive sh -c "$command"
    else
        echo "setup: some system tools are missing; please run this, then try again:" >&2
        echo "  $(install_command "sudo ")" >&2
        exit 1
    fi
}

find_missing_tools() {
    missing=""
    is_from ip -V iproute2 || need iproute2
    for tool in iptables iptables-save; do have "$tool" || need iptables; done
    have ping || need iputils-ping
    for tool in unshare nsenter setpriv; do is_from "$tool" --version util-linux || need util-linux; done
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
makes_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# The rootless tests run cnetsh as another user, who can use the system's interpreter but not one in root's home.
find_python() {
    python="" lacks_venv=""
    for each in /usr/bin/python3 /usr/local/bin/python3 /usr/bin/python3.1[1-9] /usr/local/bin/python3.1[1-9]; do
        if [ -x "$each" ] && new_enough "$each"; then
            if makes_venvs "$each"; then python=$each && return; fi
            lacks_venv=${lacks_venv:-$each}
        fi
    done
    if [ -n "$lacks_venv" ] && as_root >/dev/null && [ "$(package_tool)" = apt-get ]; then return; fi
    for each in python3 python3.14 python3.13 python3.12 python3.11; do
        if have "$each" && new_enough "$each" && makes_venvs "$each"; then
            python=$(command -v "$each") && return
        fi
    done
}

need_python() {
    if [ -n "$lacks_venv" ]; then
        need "$("$lacks_venv" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    elif have python3; then
        echo "setup: cnetsh needs Python 3.11 or newer, but python3 is $(python3 -V 2>&1)" >&2
        exit 1
    else
        need python3
        if [ "$(package_tool)" = apt-get ]; then need python3-venv; fi
    fi
}

# A venv knows its own path, so one that was moved or whose interpreter is gone is made anew.
venv_works() {
    [ -x .venv/bin/python ] &&
        [ "$(.venv/bin/python -c 'import pip, sys; print(sys.prefix)' 2>/dev/null)" = "$(pwd -P)/.venv" ]
}

# The stamp says for which folder, and with what; what has the tools of development has all.
up_to_date() {
    case "$(cat .venv/stamp 2>/dev/null)" in
        "$(pwd -P) $what" | "$(pwd -P) dev") [ -z "$(find pyproject.toml setup.sh -newer .venv/stamp)" ] ;;
        *) return 1 ;;
    esac
}

find_missing_tools
if venv_works; then python=.venv/bin/python; else find_python; fi
if [ -z "$python" ]; then need_python; fi
if [ -n "$missing" ]; then
    install_missing
    find_missing_tools
    if [ -z "$python" ]; then find_python; fi
    if [ -n "$missing" ] || [ -z "$python" ]; then
        echo "setup: still missing after the installation: ${missing:-Python 3.11 or newer with venv}" >&2
        exit 1
    fi
fi
if venv_works && up_to_date; then exit 0; fi

echo "setup: making .venv" >&2
venv_works || "$python" -m venv --clear .venv
if [ "$what" = dev ]; then
    # Dependency groups need pip 25.1.
    .venv/bin/python -m pip install --quiet "pip>=25.1"
    .venv/bin/python -m pip install --quiet --editable . --group dev
else
    .venv/bin/python -m pip install --quiet --editable .
fi
# Compiled now, for those who have told Python to write no bytecode: it is half of the start-up time.
.venv/bin/python -m compileall -q cnetsh
echo "$(pwd -P) $what" >.venv/stamp
