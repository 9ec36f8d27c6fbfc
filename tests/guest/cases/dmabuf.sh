#!/bin/sh
# Frames of the virtual camera go to the virtual codec as DMABUFs: nothing is copied.
# shellcheck source=tests/guest/lib.sh
. /share/lib.sh
load 'vivid n_devs=1 node_types=0x1' 'vicodec multiplanar=1'
camera=$(video_node vivid)
encoder=$(video_node stateful-encoder)

encodes() {
    /share/bare-loop "$camera" "$encoder" "$1" "$2" 30 "$3" > /tmp/loop 2>&1
    status=$?
    cat /tmp/loop
    return $status
}

# vicodec rounds 360 lines up to 368, for which the camera's buffer is too short.
refuses_short_buffers() {
    ! encodes 640 360 1 && grep 'raw QBUF' /tmp/loop
}

check dmabufs_are_encoded encodes 640 480 300
note "$(cat /tmp/loop)"
check dmabufs_of_another_size_are_encoded encodes 1280 720 20
check dmabufs_that_are_too_short_are_refused refuses_short_buffers
note "$(cat /tmp/loop)"
finish
