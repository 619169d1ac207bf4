#!/usr/bin/env bash
# Programs that only the tests use: test-tools.sh FOLDER
# Where root on Debian, missing ones are installed; elsewhere they are named, and their tests say that they are skipped.
set -euo pipefail
folder=$1
missing=()
need() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need dockerd docker.io
need iptables iptables
need ip iproute2

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
fetch() { apt-get "$@" >/dev/null 2>&1 || { apt-get -qq update && apt-get "$@" >/dev/null; }; }

if [ ${#missing[@]} -gt 0 ]; then
  if may_install; then
    echo "Installing ${missing[*]} ..."
    fetch -y --no-install-recommends install "${missing[@]}" ||
      echo "Could not install ${missing[*]}. Tests that need them are skipped." >&2
  else
    echo "Not here: ${missing[*]}. Tests that need them are skipped." >&2
  fi
fi

# From Debian 13 on the command line is a package of its own.
if ! command -v docker >/dev/null && may_install; then
  fetch -y --no-install-recommends install docker-cli || echo "No 'docker': tests that need it fail." >&2
fi

# One program out of its package: installed whole it would run as a service, at a port that the worker uses.
if ! command -v docker-registry >/dev/null && [ ! -x "$folder/usr/bin/docker-registry" ] && may_install; then
  mkdir -p "$folder"
  (cd "$folder" && fetch download docker-registry && dpkg-deb -x docker-registry_*.deb . && rm docker-registry_*.deb) ||
    echo "No image registry: its tests are skipped." >&2
fi
