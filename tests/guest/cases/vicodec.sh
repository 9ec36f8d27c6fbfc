#!/bin/sh
# The virtual codec: what goes through its encoder comes out of its decoder.
# shellcheck source=tests/guest/lib.sh
. /share/lib.sh
load 'vicodec multiplanar=1'
encoder=$(video_node stateful-encoder)
decoder=$(video_node stateful-decoder)

encode() {
    v4l2-ctl -d "$encoder" --set-fmt-video-out="width=$1,height=$2,pixelformat=NV12" \
        --stream-mmap=4 --stream-out-mmap=4 --stream-count="$3" --stream-to=/tmp/coded
}

decode() {
    v4l2-ctl -d "$decoder" --set-fmt-video-out="width=$1,height=$2,pixelformat=FWHT" \
        --stream-mmap=4 --stream-out-mmap=4 --stream-from=/tmp/coded --stream-to=/tmp/raw
}

# Every frame that goes in comes out, those of the drain at the end included.
all_comes_out() {
    encode "$1" "$2" "$3" || return
    decode "$1" "$2" || return
    size=$(stat -c %s /tmp/raw)
    [ "$size" -eq $(($1 * $2 * $3 * 3 / 2)) ] || { echo "$size bytes came out"; false; }
}

rounds_up() {
    v4l2-ctl -d "$encoder" --set-fmt-video-out="width=640,height=360,pixelformat=NV12" \
        --get-fmt-video-out | grep 'Width/Height *: 640/368'
}

check vicodec_rounds_360_lines_up rounds_up
check vicodec_encodes_640x480 all_comes_out 640 480 100
check vicodec_encodes_again_after_a_drain all_comes_out 1280 720 20
finish
