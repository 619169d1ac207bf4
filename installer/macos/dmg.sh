#!/usr/bin/env bash
# On a Mac, after `make frozen`: dist/HiveMind Worker.app signed, put on a disk image, notarised: dmg.sh VERSION
# SIGN_AS names a Developer ID in the keychain (without it the signature is ad hoc and people must allow the app);
# NOTARY_PROFILE names credentials kept with `xcrun notarytool store-credentials`. One build a processor.
set -euo pipefail
version=$1 app="dist/HiveMind Worker.app" stage=build/dmg
image="dist/hivemind-worker-$version-$(uname -m).dmg"

codesign --force --deep --timestamp --options runtime --entitlements installer/macos/entitlements.plist \
  --sign "${SIGN_AS:--}" "$app"
codesign --verify --deep --strict "$app"

rm -rf "$stage" && mkdir -p "$stage"
cp -R "$app" "$stage/"
ln -s /Applications "$stage/Applications"
hdiutil create -volname "HiveMind Worker $version" -srcfolder "$stage" -fs HFS+ -format ULFO -ov "$image"
rm -rf "$stage"
if [ -n "${NOTARY_PROFILE:-}" ]; then
  xcrun notarytool submit "$image" --keychain-profile "$NOTARY_PROFILE" --wait
  xcrun stapler staple "$image"
fi
