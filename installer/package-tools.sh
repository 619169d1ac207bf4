#!/usr/bin/env bash
# Programs that only the tests of packages use (make test-release). Where root on Debian, missing ones are
# installed; elsewhere they are named, and their tests say that they are skipped.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("${@:2}"); }
need debootstrap debootstrap
need lintian lintian
need makensis nsis
need wine wine wine64
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing ${missing[*]} ..."
  install=(apt-get install -y --no-install-recommends "${missing[@]}")
  "${install[@]}" >/dev/null 2>&1 || { apt-get -qq update && "${install[@]}" >/dev/null; } ||
    echo "Could not install ${missing[*]}. Tests that need them are skipped." >&2
else
  echo "Not here: ${missing[*]}. Tests that need them are skipped." >&2
fi
