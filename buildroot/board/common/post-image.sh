#!/bin/sh
# Makes the card and the update bundle from what Buildroot has built.
#
# Buildroot calls it with the folder of its images and the board's name.
set -eu
images=$1 board=$2
external=$BR2_EXTERNAL_PICKET_PATH
version=$(sed -n 's/^VERSION=//p' "$TARGET_DIR/usr/lib/picket/release")
PATH=$HOST_DIR/bin:$HOST_DIR/sbin:$PATH

inputs=$images/inputs
rm -rf "$inputs"
mkdir -p "$inputs/boot"
ln "$images/rootfs.squashfs" "$inputs/rootfs.squashfs"
"$external/board/$board/copy-boot-files" "$images" "$inputs"

rm -rf "$images"/picket-*
"$external/board/make-card" --board "$board" --version "$version" "$inputs" "$images"
"$external/board/make-bundle" --board "$board" --version "$version" \
    --keys "${PICKET_KEYS:-$BASE_DIR/keys}" "$inputs" "$images"
