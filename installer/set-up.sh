#!/usr/bin/env bash
# Make the virtual environment with every locked dependency: set-up.sh PYTHON VENV
# Where root on Debian, missing system packages are installed; elsewhere they are named.
set -euo pipefail
python=$1 venv=$2

"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v "$python" >/dev/null; then
    apt-get install -y --no-install-recommends python3 python3-venv
  else
    echo "Python 3.11 to 3.13 is needed; '$python' is not. Name one: make PYTHON=python3.12" >&2
    exit 2
  fi
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install -y --no-install-recommends python3-venv
  else
    echo "The module 'venv' is missing. On Debian: apt-get install python3-venv" >&2
    exit 2
  fi
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "Installing into $venv ..."
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
