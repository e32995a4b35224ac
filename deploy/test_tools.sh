#!/bin/sh
# What only the tests need and pip cannot bring: curl, and a Chromium (by apt as root on Debian, else into .cache/browsers).
set -eu
cd "$(dirname "$0")/.."

works() { command -v "$1" >/dev/null 2>&1 && "$1" --version >/dev/null 2>&1; }

if ! works curl; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends curl >/dev/null
    else
        echo "tests: install curl with your system's package manager, a test uploads with it" >&2
        exit 1
    fi
fi
if works chromium || works chromium-browser || works google-chrome || ls .cache/browsers/chromium*/ >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "tests: installing chromium"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null || true
    if works chromium; then exit 0; fi # on Ubuntu the package only points to a snap
fi
echo "tests: fetching a Chromium into .cache/browsers"
PLAYWRIGHT_BROWSERS_PATH=.cache/browsers .venv/bin/python -m playwright install chromium-headless-shell || {
    echo "tests: no Chromium; install your distribution's (Debian: apt-get install chromium), the browser tests need it" >&2
    exit 1
}
