#!/usr/bin/env bash
# Builds the clients of go-clients/modules.txt, through the Go module proxy, into the user's cache, and links them
# into .tools/go-clients. What it cannot build it names; the tests then skip.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=infra/toolchain
list=$here/go-clients/modules.txt
links=.tools/go-clients
oldest_go=1.26.8 # the newest `go` line among the modules
cache=${XDG_CACHE_HOME:-$HOME/.cache}/registry-test-clients

say() { printf 'clients: %s\n' "$*" >&2; }

# The sums are ours and the modules' own, so the checksum database is not asked; no other toolchain is downloaded.
export CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath -buildvcs=false" GOSUMDB=off GOTOOLCHAIN=local GOWORK=off

is_new_enough() {
    local version
    version=$("$1" env GOVERSION 2> /dev/null) || return 1
    printf '%s\n' "$oldest_go" "${version#go}" | sort -CV
}

# Prints the go to build with: the one on PATH, or else the one that PyPI brings.
find_go() {
    local wanted brought=.tools/go/go/bin/go
    if is_new_enough go; then command -v go; return; fi
    wanted=$(cksum < "$here/go-clients/requirements.txt")
    if [ ! -f .tools/go/.done ] || [ "$(cat .tools/go/.done)" != "$wanted" ]; then
        say "no Go of $oldest_go or newer on PATH: installing one from PyPI into .tools/go"
        rm -rf .tools/go
        "$("$here/uv.sh")" pip install --quiet --python .venv/bin/python --target .tools/go --require-hashes \
            --requirement "$here/go-clients/requirements.txt" >&2 || return 1
        echo "$wanted" > .tools/go/.done
    fi
    is_new_enough "$brought" && echo "$PWD/$brought"
}

# Prints the folder of a module's source if its sum is the pinned one.
fetch() {
    local answer
    answer=$("$go" mod download -json "$1@$2") || { grep -m 1 '"Error"' <<< "$answer" >&2; return 1; }
    if ! grep -qF "\"Sum\": \"$3\"" <<< "$answer"; then
        echo "the sum of $1@$2 is not $3" >&2
        return 1
    fi
    sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<< "$answer"
}

# Prints the folder to build in, where the module's own go.mod and go.sum hold. The command line of docker calls them
# vendor.mod and vendor.sum: it is copied, and they are given their names.
rooted() {
    if [ -f "$1/go.mod" ]; then echo "$1"; return; fi
    cp -r "$1" "$scratch/source"
    chmod -R u+w "$scratch/source"
    mv "$scratch/source/vendor.mod" "$scratch/source/go.mod"
    mv "$scratch/source/vendor.sum" "$scratch/source/go.sum"
    echo "$scratch/source"
}

build() {
    local source part
    source=$(fetch "$2" "$3" "$4") && source=$(rooted "$source") || return
    mkdir -p "$(dirname "$6")"
    part=$6.$$
    (cd "$source" && nice "$go" build -ldflags="-s -w" -o "$part" "./$5") && mv "$part" "$6"
}

mkdir -p "$links"
go=
scratch=$(mktemp -d)
log=$scratch/log
trap 'rm -rf "$scratch"' EXIT
while read -r name module version sum package; do
    program=$cache/$version-$(cksum <<< "$module $sum $package" | cut -d ' ' -f 1)/$name
    if [ ! -x "$program" ]; then
        rm -f "$links/$name"
        go=${go:-$(find_go || echo none)}
        if [ "$go" = none ]; then say "$name is missing (no Go of $oldest_go or newer)"; continue; fi
        say "building $name $version"
        rm -rf "$scratch/source"
        build "$name" "$module" "$version" "$sum" "$package" "$program" < /dev/null 2> "$log" \
            || { say "$name is missing ($(tail -n 1 "$log"))"; continue; }
    fi
    ln -sfn "$program" "$links/$name"
done < <(grep -v '^#' "$list")
