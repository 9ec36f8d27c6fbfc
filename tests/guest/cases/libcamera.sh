#!/bin/sh
# libcamera's virtual cameras, with frames in real DMABUFs of /dev/udmabuf.
# shellcheck source=tests/guest/lib.sh
. /share/lib.sh

lists() {
    cam --list > /tmp/list 2>&1
    grep "$1" /tmp/list || { cat /tmp/list; false; }
}

captures() {
    camera=$1 count=$2
    shift 2
    cam --camera="$camera" --capture="$count" "$@" > /tmp/capture 2>&1
    frames=$(grep -c 'bytesused' /tmp/capture)
    [ "$frames" -eq "$count" ] || { tail -n 5 /tmp/capture; echo "$frames frames"; false; }
}

check libcamera_lists_the_first_camera lists '(Front)'
check libcamera_lists_the_second_camera lists '(Plugged)'
check libcamera_captures_100_frames captures 1 100 --stream=width=640,height=360,pixelformat=NV12
check libcamera_captures_two_sizes_at_once captures 1 20 \
    --stream=width=1280,height=720,role=video --stream=width=640,height=360,role=viewfinder
finish
