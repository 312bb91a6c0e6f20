#!/usr/bin/env bash
# Prints the path of uv; installs it from PyPI into .tools/uv where the machine has none.
set -euo pipefail
cd "$(dirname "$0")/../.."

if command -v uv; then exit; fi
if [ ! -x .tools/uv/bin/uv ]; then
    echo "set-up: uv is missing: installing it from PyPI into .tools/uv" >&2
    # An active virtual environment may have no pip; the machine's Python does.
    python=python3
    python3 -m pip --version >/dev/null 2>&1 || python=/usr/bin/python3
    "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .tools/uv uv >&2 || {
        echo "set-up: python3 -m pip could not install uv; is pip there (apt-get install python3-pip)?" >&2
        exit 1
    }
fi
echo "$PWD/.tools/uv/bin/uv"
