#!/bin/sh
# `make setup`: everything popreel needs, inside this folder: .venv, .cache/models, web/dist.
# Idempotent: a step whose inputs did not change is skipped. No root needed; as root on Debian or Ubuntu a missing
# python3-venv is installed. Uses: PYTHON (the interpreter to build .venv with, 3.11 or newer).
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "setup: $*"; }
fail() { printf '%s\n' "setup: $*" >&2; exit 1; }
fingerprint() { cat "$@" | sha256sum | cut -d' ' -f1; }
current() { [ -f "$stamps/$1" ] && [ "$(cat "$stamps/$1")" = "$2" ]; }
stamp() { printf '%s' "$2" > "$stamps/$1"; }

python_is_usable() { command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && python_is_usable "$candidate"; then printf '%s' "$candidate"; return; fi
    done
}

apt_install() { # $1: what for; the rest: packages
    purpose=$1; shift
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing $* ($purpose)"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        fail "$purpose: as root, run \`apt-get install $*\` (or your distribution's equivalent), then \`make setup\` again"
    fi
}

make_venv() {
    python=$(find_python)
    if [ -z "$python" ]; then
        apt_install "no Python 3.11 or newer was found" python3 python3-venv
        python=$(find_python)
        [ -n "$python" ] || fail "this system's Python is older than 3.11: install a newer one and name it, PYTHON=... make setup"
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install "Python's venv module is missing" "$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')"
    fi
    say "creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
}

# A moved folder leaves a .venv whose scripts name the old place.
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null \
    || [ "$(.venv/bin/python -c 'import sys; print(sys.prefix)')" != "$(cd .venv && pwd -P)" ] \
    || { [ -f .venv/.stamps/place ] && [ "$(cat .venv/.stamps/place)" != "$(pwd -P)" ]; }; then
    make_venv
fi
stamps=.venv/.stamps
mkdir -p "$stamps" .cache
stamp place "$(pwd -P)"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

wanted=$(fingerprint requirements.lock)
if ! current packages "$wanted"; then
    say "installing the locked packages (a minute or two)"
    .venv/bin/python -m pip install --quiet --require-hashes -r requirements.lock
    stamp packages "$wanted"
fi

wanted=$(fingerprint pyproject.toml)
if ! current project "$wanted"; then
    say "installing popreel itself, editable"
    .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
    stamp project "$wanted"
fi

wanted=$(fingerprint requirements.lock inference/install_models.py inference/content/*.py)
if ! current models "$wanted" || [ ! -d .cache/models ]; then
    say "converting the models"
    .venv/bin/python -m inference.install_models .cache/models
    stamp models "$wanted"
fi

.venv/bin/python -m popreel.web_build
say "done; \`make run\` starts the platform"
