#!/usr/bin/env bash
# Installs what is missing of the commands given, each as COMMAND=PACKAGE, from Debian's packages. Starts no service.
# Fails where it cannot bring one, and names it.
set -euo pipefail

say() { printf 'set-up: %s\n' "$*" >&2; }

declare -A package_of=()
for pair in "$@"; do package_of[${pair%%=*}]=${pair#*=}; done

missing() {
    local tool
    for tool in "${!package_of[@]}"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$tool" > /dev/null || echo "$tool"
    done | sort
}

give_up() {
    local tool
    for tool in $(missing); do say "$tool is missing ($1)"; done
    exit 1
}

# 101 from policy-rc.d keeps packages from starting their services; a policy that is there already stays.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
    fi
    "$@"
}

apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" > "$log" 2>&1; }

tools=$(missing)
if [ -z "$tools" ]; then exit; fi
if ! command -v apt-get > /dev/null; then give_up "no apt-get"; fi
if [ "$(id -u)" -ne 0 ]; then give_up "only root may install packages"; fi

packages=$(for tool in $tools; do echo "${package_of[$tool]}"; done | sort -u | tr '\n' ' ')
say "installing $packages"
log=$(mktemp)
# shellcheck disable=SC2086 # the list is meant to be split
if ! without_services apt install -y --no-install-recommends $packages \
    && ! { apt update && without_services apt install -y --no-install-recommends $packages; }; then
    say "apt-get: $(tail -n 1 "$log")"
    rm -f "$log"
    give_up "apt-get could not install it"
fi
rm -f "$log"
if [ -n "$(missing)" ]; then give_up "its package does not bring it"; fi
