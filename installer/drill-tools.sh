#!/usr/bin/env bash
# What only `make drills` uses: a library that moves the clock of one process.
# Where root on Debian, it is installed; elsewhere it is named, and the table says that F10 was not run.
set -euo pipefail
found() { compgen -G "/usr/lib*/*/faketime/libfaketimeMT.so.1" || compgen -G "/usr/*lib*/faketime/libfaketimeMT.so.1"; }
found >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing libfaketime ..."
  install=(apt-get install -y --no-install-recommends libfaketime)
  "${install[@]}" >/dev/null 2>&1 || { apt-get -qq update && "${install[@]}" >/dev/null; }
else
  echo "Not here: libfaketime. The drill of the clock (F10) is left out." >&2
fi
