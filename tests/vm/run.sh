#!/bin/sh
# The five labs, the examples, samples and breakages in a VM with the kernel of a suite: run.sh NUMBER:SUITE. Each of four suites
# has the samples of all links, and each fourth of the other kinds' and of the breakages from NUMBER on, so that together they try
# all. Exit code 1 if one fails.
set -eu
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin"
number=${1%%:*} suite=${1#*:} began=$(date +%s)
kept=${XDG_CACHE_HOME:-$HOME/.cache}/cnetsh-kernels
sh tests/vm/kernels.sh "$kept" "$suite"
# shellcheck disable=SC2046 # each example is a word
set -- veth container conflict bridge routing $(basename -s .yaml examples/*.yaml) links "$number/4"
code=0
.venv/bin/cnetsh vm run --kernel "$kept/$suite" --deadline 1800 --copy tests/kernel --copy tests/vm -- \
    python3 "$PWD/tests/vm/in_vm.py" "$PWD/tests" "$@" >"$kept/$suite/said" 2>&1 || code=$?
cat "$kept/$suite/said"
echo "$suite: exit $code after $(($(date +%s) - began)) s"
exit "$code"
