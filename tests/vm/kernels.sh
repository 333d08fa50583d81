#!/bin/sh
# kernels.sh FOLDER SUITE...: fetches the newest kernel for virtual machines of other suites of this machine's
# distribution, from the mirror and with the keys that it uses itself; what is there already is not asked for again.
set -eu
folder=$1 && shift
# shellcheck disable=SC2016 # apt-get puts in what it stands for
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | head -n 1)
test -n "$mirror" || { echo "kernels.sh: no mirror of Debian's is configured here" >&2; exit 1; }

of_suite() {
    home=$1 && shift
    "$@" -o Dir::Etc::sourcelist="$home/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$home/lists" \
        -o Dir::Cache="$home/cache" -o Acquire::Languages=none
}

for suite in "$@"; do
    home=$folder/$suite
    ls "$home"/*.deb >/dev/null 2>&1 && continue
    mkdir -p "$home/lists/partial" "$home/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$home/sources.list"
    of_suite "$home" apt-get -qq update
    package=$(of_suite "$home" apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p')
    # From 6.17 on the kernel and its modules are packages of their own.
    parts=$(of_suite "$home" apt-cache depends "$package" | sed -n 's/.*Depends: \(linux-\(binary\|modules\)-.*\)/\1/p')
    # shellcheck disable=SC2086 # each part is a word
    (cd "$home" && of_suite "$home" apt-get -qq download "$package" $parts)
    rm -rf "$home/lists" "$home/cache"
done
