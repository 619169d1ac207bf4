#!/usr/bin/env bash
# The set-up for Windows by makensis, on any system: setup.sh FROZEN_FOLDER VERSION OUT.exe
# COMPRESSION=none is quick and large: for trying it out. STUB=amd64-unicode makes one that runs where 32-bit programs do not.
set -euo pipefail
frozen=$(realpath "$1") version=$2 out=$(realpath -m "$3") icon=$(realpath "${ICON:-build/icons/app.ico}")
numbers=$(printf '%s.0.0.0' "$version" | cut -d. -f1-4)
compression="SetCompressor /FINAL ${COMPRESSION:-/SOLID lzma}"
[ "${COMPRESSION:-}" != none ] || compression="SetCompress off"
exec makensis -V2 -NOCD ${STUB:+-DSTUB=$STUB} "-X$compression" \
  "-DFROZEN=$frozen" "-DVERSION=$version" "-DNUMBERS=$numbers" "-DOUT=$out" "-DICON=$icon" installer/windows/setup.nsi
