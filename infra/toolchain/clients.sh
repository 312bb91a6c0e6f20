#!/usr/bin/env bash
# Installs the clients that the tests push and pull with, from Debian's packages, where a command is missing.
# Touches no engine that runs. What it cannot bring it names; the tests then skip.
set -euo pipefail
cd "$(dirname "$0")"

./debian.sh docker=docker.io dockerd=docker.io containerd=containerd ctr=containerd runc=runc \
    podman=podman buildah=buildah skopeo=skopeo mmdebstrap=mmdebstrap || true
