#!/usr/bin/env bash
# dist/hivemind-worker-VERSION-x86_64.AppImage from the frozen folder: appimage.sh VERSION APPIMAGETOOL
# Its tool is in no package registry, so only the release runner, which fetches it by digest, does this step.
set -euo pipefail
version=$1 tool=$2 root=build/AppDir
rm -rf "$root" && mkdir -p "$root/usr/lib" "$root/usr/share/metainfo"
cp -a dist/hivemind-worker "$root/usr/lib/hivemind-worker"
ln -s usr/lib/hivemind-worker/hivemind-worker "$root/AppRun"
cp installer/linux/hivemind-worker.desktop "$root/"
cp build/icons/256.png "$root/hivemind-worker.png"
sed -e "s/@VERSION@/$version/" -e "s/@DATE@/$(date -u +%F)/" installer/linux/io.hivemind.worker.metainfo.xml \
  > "$root/usr/share/metainfo/io.hivemind.worker.metainfo.xml"
ARCH=x86_64 "$tool" --appimage-extract-and-run "$root" "dist/hivemind-worker-$version-x86_64.AppImage"
rm -rf "$root"
