#!/usr/bin/env bash
# The frozen build in dist/hivemind-worker, from the locked dependencies alone: build.sh PYTHON
set -euo pipefail
python=$1 venv=build/freeze
bin=$venv/bin
[ "${OS:-}" != Windows_NT ] || bin=$venv/Scripts
stamp=$venv/$(sha256sum < requirements-freeze.lock | cut -c1-16)

if [ ! -e "$stamp" ]; then
  echo "Installing what the build needs ..."
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-freeze.lock
  touch "$stamp"
fi
sources=$(find app docs resources installer/freeze pyinstaller.spec pyproject.toml requirements-freeze.lock -type f \
  -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum)
if [ -x dist/hivemind-worker/hivemind-worker ] && [ "$(cat build/frozen 2>/dev/null)" = "$sources" ]; then
  echo "dist/hivemind-worker is of these sources already."
  exit 0
fi
echo "Freezing ..."
rm -f build/frozen
"$bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps --no-build-isolation --no-compile .
mkdir -p build/pyinstaller
"$bin/python" installer/icons.py build/icons
"$bin/python" -m PyInstaller --noconfirm --clean --log-level WARN --distpath dist --workpath build/pyinstaller pyinstaller.spec
"$bin/python" installer/freeze/contents.py dist/hivemind-worker
echo "$sources" > build/frozen
du -sh dist/hivemind-worker
