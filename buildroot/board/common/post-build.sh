#!/bin/sh
# Finishes the root after Buildroot has filled it: adds the image's version, board and keys, removes what a
# camera does not need, and checks that what it does need is there.
#
# Buildroot calls it with the folder of the root and the board's name.
set -eu
target=$1 board=$2
external=$BR2_EXTERNAL_PICKET_PATH
overlay=$external/../rootfs-overlay
here=$external/board/common

# --- version, board and configuration ---
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$external/../Cargo.toml" | head -n 1)
mkdir -p "$target/usr/lib/picket" "$target/usr/share/picket" "$target/etc/rauc"
echo "picket-$board" > "$target/usr/lib/picket/board"
printf 'VERSION=%s\nBUILD_EPOCH=%s\n' "$version" "$SOURCE_DATE_EPOCH" > "$target/usr/lib/picket/release"
"$external/board/card/print-config" > "$target/usr/share/picket/config.toml"

# --- whose updates it accepts ---
keys=${PICKET_KEYS:-$BASE_DIR/keys}
"$external/board/make-signing-keys" "$keys"
install -m 644 "$keys/keyring.pem" "$target/etc/rauc/keyring.pem"

# --- mount points ---
mkdir -p "$target/boot" "$target/data"

# --- what is removed ---
# The init scripts and settings of packages: the overlay has all that runs.
find "$target/etc/init.d" -type f | while read -r script; do
    [ -e "$overlay/etc/init.d/$(basename "$script")" ] || rm "$script"
done
(
    cd "$target"
    rm -rf etc/network etc/profile.d etc/wpa_supplicant.conf etc/dropbear etc/rauc/system.conf \
        etc/ld.so.conf.d etc/e2scrub.conf etc/udev lib/udev usr/lib/udev \
        usr/share/udhcpc/default.script.d usr/share/bash-completion usr/share/dbus-1 \
        usr/share/gdb usr/share/glib-2.0 usr/share/gettext usr/share/et usr/share/ss \
        usr/share/locale usr/share/i18n usr/share/libcamera/pipeline/rpi/*/example.yaml \
        usr/lib/gio usr/lib/glib-2.0 usr/lib/ossl-modules usr/lib/engines-3 usr/lib/girepository-1.0
    rm -rf etc/ssl/misc etc/ssl/*.dist etc/ssl/ct_log_list.cnf* etc/fstab linuxrc media mnt opt
)
"$here/prune" "$target" "$here/required-programs"
# Busybox got no link where there was a larger program of the same name, which may be gone now.
cat "$BUILD_DIR"/busybox-*/busybox.links | while read -r link; do
    [ -e "$target$link" ] || [ -h "$target$link" ] || ln -s /usr/bin/busybox "$target$link"
done

# --- what must be there ---
wrong=0
while read -r program; do
    case $program in
        '' | '#'*) continue ;;
        */*) set -- "$target$program" ;;
        *) set -- "$target/usr/bin/$program" "$target/usr/sbin/$program" ;;
    esac
    if [ ! -x "$1" ] && [ ! -x "${2:-$1}" ]; then
        echo "post-build: the image has no $program" >&2
        wrong=1
    fi
done < "$here/required-programs"
# A kernel's configuration silently drops what it cannot satisfy, as Buildroot's does.
for fragment in "$here/linux.fragment" "$external/board/$board"/linux.*; do
    "$here/check-kernel" "$BUILD_DIR"/linux-*/.config "$fragment" >&2 || wrong=1
done
# The same commit gives the same bytes wherever it is built, so no file may name the build folder.
if places=$(grep -rlF -e "$BASE_DIR" -e "${BR2_DL_DIR:-$BASE_DIR}" "$target"); then
    echo "post-build: these contain the path of the build folder:" "$places" >&2
    wrong=1
fi
exit "$wrong"
