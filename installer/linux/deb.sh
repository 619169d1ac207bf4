#!/usr/bin/env bash
# dist/hivemind-worker_VERSION_ARCHITECTURE.deb from the frozen folder: deb.sh [VERSION]
# COMPRESSION=none or zstd is quicker and larger: for trying it out.
set -euo pipefail
python=build/freeze/bin/python
version=${1:-$("$python" -c 'import hivemind_worker; print(hivemind_worker.__version__)')}
architecture=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
day=$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)
from=installer/linux root=build/deb
share=$root/usr/share doc=$root/usr/share/doc/hivemind-worker

umask 022
rm -rf "$root" && mkdir -p "$root/usr/lib" "$root/usr/bin" "$root/DEBIAN" "$doc" \
  "$share"/{applications,metainfo,man/man1,lintian/overrides} "$root"/usr/lib/systemd/{system,user}
cp -a dist/hivemind-worker "$root/usr/lib/hivemind-worker"
mv "$root/usr/lib/hivemind-worker/licences" "$root/usr/lib/hivemind-worker/sbom.cdx.json" "$doc/"
rm -f "$root"/usr/lib/hivemind-worker/{LICENSE,NOTICE}
find "$root/usr/lib/hivemind-worker" -name __pycache__ -prune -exec rm -r {} +
find "$root/usr/lib/hivemind-worker" -type f -name '*.so*' -exec chmod 644 {} +
ln -s ../lib/hivemind-worker/hivemind-worker "$root/usr/bin/hivemind-worker"

"$python" installer/icons.py build/icons
for px in 16 22 24 32 48 64 128 256 512; do
  install -D -m 644 "build/icons/$px.png" "$share/icons/hicolor/${px}x$px/apps/hivemind-worker.png"
done
install -D -m 644 resources/icons/app.svg "$share/icons/hicolor/scalable/apps/hivemind-worker.svg"
install -m 644 $from/hivemind-worker.desktop "$share/applications/"
sed -e "s/@VERSION@/$version/" -e "s/@DATE@/$day/" $from/io.hivemind.worker.metainfo.xml \
  > "$share/metainfo/io.hivemind.worker.metainfo.xml"
"$python" -m installer.linux.man_page | gzip -9n > "$share/man/man1/hivemind-worker.1.gz"
install -m 644 $from/user.service "$root/usr/lib/systemd/user/hivemind-worker.service"
install -m 644 $from/system.service "$root/usr/lib/systemd/system/hivemind-worker.service"
install -m 644 $from/debian/lintian-overrides "$share/lintian/overrides/hivemind-worker"

# The one program with elevated rights: where only root can write, with the policy that says who may start it.
printf '#!/bin/sh\nexec /usr/lib/hivemind-worker/hivemind-worker --vpn-helper\n' \
  > "$root/usr/lib/hivemind-worker/vpn-helper"
chmod 755 "$root/usr/lib/hivemind-worker/vpn-helper"
install -D -m 644 $from/io.hivemind.worker.vpn.policy -t "$share/polkit-1/actions"

{ echo "Upstream-Name: HiveMind Worker"; echo; sed -n '1,3p' NOTICE; echo
  echo "On Debian systems the text of the licence is in /usr/share/common-licenses/Apache-2.0."
  echo "What is inside besides, and under which licences: licences/INDEX.txt and sbom.cdx.json in this folder."
} > "$doc/copyright"
{ echo "hivemind-worker ($version) unstable; urgency=medium"; echo; echo "  * See CHANGELOG.md of the project."; echo
  echo " -- The HiveMind Worker developers <worker@hivemind.invalid>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n > "$doc/changelog.gz"

install -m 755 $from/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
size=$(du -sk --apparent-size "$root" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" \
  -e "s/@LIBC@/$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)/" $from/debian/control > "$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0 --no-run-if-empty touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
package=dist/hivemind-worker_${version}_$architecture.deb
dpkg-deb --root-owner-group -Z"${COMPRESSION:-xz}" --build "$root" "$package" >/dev/null
rm -rf "$root"
ls -l "$package"
