#!/bin/sh
# The virtual camera: frames at the wanted rate, and faults when asked for.
# shellcheck source=tests/guest/lib.sh
. /share/lib.sh
load 'vivid n_devs=1 node_types=0x1'
camera=$(video_node vivid)

# stream COUNT [ACTION...]: captures, and does something to the camera on the way.
stream() {
    count=$1
    shift
    # What the one before has written would be taken for a beginning.
    : > /tmp/stream
    v4l2-ctl -d "$camera" --stream-mmap=4 --stream-count="$count" > /tmp/stream 2>&1 &
    if [ $# -gt 0 ]; then
        until grep -q '<' /tmp/stream || ! kill -0 $!; do sleep 0.1; done
        "$@"
    fi
    wait $!
}

# captures COUNT [ACTION...]: all frames come. The exit status of v4l2-ctl does not tell.
captures() {
    stream "$@"
    # It prints a < for each.
    frames=$(tr -cd '<' < /tmp/stream | wc -c)
    [ "$frames" -eq "$1" ] || { cat /tmp/stream; echo "$frames frames"; false; }
}

fails_with() {
    expected=$1
    shift
    stream 100000 "$@"
    grep -E "$expected" /tmp/stream || { cat /tmp/stream; false; }
}

# How v4l2-ctl ends depends on whether it was waiting for a frame or giving one back.
ended='DQBUF: failed|qbuf error'

is_taken_away() {
    echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind
    [ ! -e "$camera" ]
}

is_given_back() {
    echo vivid.0 > /sys/bus/platform/drivers/vivid/bind
    [ -e "$camera" ]
}

v4l2-ctl -d "$camera" --set-fmt-video=width=640,height=360,pixelformat=NV12 --set-parm=30 > /dev/null
check vivid_takes_a_frame_rate sh -c "v4l2-ctl -d $camera --get-parm | grep 30.000"
check vivid_gives_300_frames captures 300
check vivid_goes_on_after_damaged_frames \
    captures 30 v4l2-ctl -d "$camera" --set-ctrl=inject_v4l2_buf_flag_error=1
check vivid_fails_for_good_when_told_so \
    fails_with "$ended" v4l2-ctl -d "$camera" --set-ctrl=inject_fatal_streaming_error=1
check vivid_streams_again captures 10
check vivid_can_be_disconnected fails_with error v4l2-ctl -d "$camera" --set-ctrl=disconnect=1
check vivid_comes_back captures 10
check vivid_can_be_taken_away fails_with "$ended" is_taken_away
check vivid_can_be_given_back is_given_back
check vivid_streams_after_it captures 10
finish
