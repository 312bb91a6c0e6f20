#!/usr/bin/env bash
# Makes the OCI image of the registry's host, in the folder given (default: build): registry-image, a layout,
# and registry-image.tar, which docker and podman load. Needs root, and a mirror of Debian that apt is set to.
set -euo pipefail
umask 022 # the image's user is not this machine's: it is to read all, and write nothing
cd "$(dirname "$0")/../.."
out=$(realpath -m "${1:-build}")
suite=trixie

say() { printf 'image: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ "$(id -u)" -eq 0 ] || die "only root can lay out Debian's files: run it with sudo, or in a machine of CI"
infra/toolchain/debian.sh mmdebstrap=mmdebstrap buildah=buildah
mkdir -p "$out"
work=$(mktemp -d "$out/image.XXXXXX")
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2> /dev/null || date +%s)
export SOURCE_DATE_EPOCH
revision=$(git rev-parse HEAD 2> /dev/null || echo unknown)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

# What apt on this machine is set to serves the image's suite, too; what is for security is a place of its own.
sources() {
    local site
    while read -r site; do
        case $site in
            *security*) echo "deb $site $suite-security main" ;;
            *) echo "deb $site $suite main" && echo "deb $site $suite-updates main" ;;
        esac
    done < <(apt-get indextargets --format '$(SITE)|$(ORIGIN)' 'Created-By: Packages' | sed -n 's/|Debian$//p' | sort -u)
}

base() {
    say "laying out Debian $suite"
    sources > "$work/sources.list"
    mmdebstrap --quiet --variant=essential --include=python3,ca-certificates --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='echo registry:x:65532: >> "$1/etc/group"' \
        --customize-hook='echo registry:x:65532:65532::/tmp:/usr/sbin/nologin >> "$1/etc/passwd"' \
        "$suite" "$work/context/base.tar" "$work/sources.list" > "$work/log" 2>&1 || die "mmdebstrap: $(tail -n 3 "$work/log")"
}

packages() {
    say "installing the locked wheels"
    "$(infra/toolchain/uv.sh)" pip install --quiet --target "$work/context/site-packages" --require-hashes --no-deps \
        --only-binary :all: --python-version 3.13 --python-platform x86_64-manylinux_2_28 --python .venv/bin/python \
        -r infra/admin/requirements.txt
    rm -rf "$work"/context/site-packages/{bin,.lock}
}

# Modules alone: nothing that merely lies about in these folders is published.
app() {
    mkdir -p "$work/context/app/infra"
    find function_app.py host.json functions shared infra/__init__.py infra/admin infra/devhost infra/host \
        -name '.?*' -prune -o -type f \( -name '*.py' -o -name host.json \) -print0 |
        tar --create --mode=u=rwX,go=rX --null --files-from=- | tar --extract --directory "$work/context/app"
}

# Its files are read-only, and layers have times of their own: only what is not compared with its source is of use.
compile() {
    local from=$1 to=$2
    .venv/bin/python -m compileall -q -s "$from" -p "$to" --invalidation-mode unchecked-hash "$from"
}

built() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }

mkdir "$work/context"
base
packages
app
compile "$work/context/site-packages" /usr/local/lib/python3.13/dist-packages
compile "$work/context/app" /app
say "putting the layers together"
built build --quiet --layers --isolation chroot --timestamp "$SOURCE_DATE_EPOCH" --tag registry \
    --label org.opencontainers.image.title=registry --label org.opencontainers.image.version="$version" \
    --label org.opencontainers.image.revision="$revision" --label org.opencontainers.image.licenses=MIT \
    --file infra/image/Containerfile "$work/context" > "$work/log" 2>&1 || die "buildah: $(tail -n 3 "$work/log")"
rm -rf "$out/registry-image" "$out/registry-image.tar"
built push --quiet registry "oci:$out/registry-image:latest"
built push --quiet registry "docker-archive:$out/registry-image.tar:registry:$version"
say "made $out/registry-image and $out/registry-image.tar ($(du -h "$out/registry-image.tar" | cut -f1))"
