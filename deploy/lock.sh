#!/bin/sh
# `make lock`: requirements.lock for every platform and Python at once, with hashes. Versions that still fit pyproject.toml
# stay; `deploy/lock.sh --upgrade` takes the newest. uv lives in .cache/lock, not in .venv.
set -eu
cd "$(dirname "$0")/.."
[ -x .cache/lock/bin/uv ] || { .venv/bin/python -m venv .cache/lock && .cache/lock/bin/pip install --quiet --no-cache-dir 'uv>=0.9,<1'; }
header="# Made by \`make lock\` (uv pip compile --universal --all-extras --generate-hashes pyproject.toml); do not edit."
cp requirements.lock .cache/requirements.lock # uv keeps the versions it finds in its output
UV_CACHE_DIR=.cache/uv .cache/lock/bin/uv pip compile --quiet --universal --all-extras --generate-hashes --no-header \
    --no-emit-index-url --no-emit-find-links --python-version 3.11 pyproject.toml -o .cache/requirements.lock "$@"
{ printf '%s\n' "$header"; cat .cache/requirements.lock; } > requirements.lock
rm -rf .cache/requirements.lock .cache/uv
