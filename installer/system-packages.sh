#!/usr/bin/env bash
# Debian packages that the app needs: its window, and the pool's VPN (system-packages.sh app); and what the tests
# of window and pages need besides (… tests).
# Root installs what is missing; anybody else is told. Other systems bring these with their desktop.
set -euo pipefail
window=(libegl1 libgl1 libfontconfig1 libdbus-1-3 libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4
  libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1)
vpn=(wireguard-tools wireguard-go iproute2)
tests=(xvfb xdotool dbus dbus-x11 at-spi2-core python3-gi gir1.2-atspi-2.0 fonts-inter fonts-noto-cjk
  fonts-noto-mono chromium chromium-driver nats-server)

command -v dpkg-query >/dev/null || exit 0
app=("${window[@]}" "${vpn[@]}")
case ${1:-} in app) wanted=("${app[@]}") ;; tests) wanted=("${app[@]}" "${tests[@]}") ;; *) exit 2 ;; esac
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "The window, the VPN and the tests need: apt-get install ${missing[*]}" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
  echo "Could not install ${missing[*]}: the window may not open, the VPN may not come up." >&2
