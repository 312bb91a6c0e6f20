#!/usr/bin/env bash
# Compiles pyproject.toml into the three locks, in the folder given (default: here). Versions already locked are kept;
# remove a lock first to take newer ones.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-.}
uv=$(infra/toolchain/uv.sh)

compile() {
    "$uv" pip compile --quiet pyproject.toml --universal --python-version 3.13 --python .venv/bin/python \
        --generate-hashes --no-annotate --custom-compile-command "make lock" "$@"
}
compile --output-file "$out/requirements.txt"
compile --group admin --output-file "$out/infra/admin/requirements.txt"
compile --group admin --group lint --group test --output-file "$out/tests/requirements.txt"
