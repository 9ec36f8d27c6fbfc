#!/bin/sh
# What a picture costs the processor on its way from the camera to the hub, and how long it takes:
# the daemon, with vivid and the stand-in for the Pi's encoder, beside the bare loop, which does no
# more than what must be done. Both devices work in threads of the kernel's and are in neither
# figure. The processor's cost is counted in instructions, not in time: the two processors of the
# guest share one clock, so that what one does lengthens what the other does meanwhile. To be run by
# scripts/bench --guest.
# shellcheck source=tests/guest/lib.sh
. /share/lib.sh

rounds=${1:-3}
seconds=${2:-20}
fps=15

load 'vivid n_devs=1 node_types=0x1 allocators=1' 'bcm2835-codec-stand-in key_budget=200000'
camera=$(video_node vivid)

# counted PROCESS NAME: counts what the process runs from now on, and leaves in /tmp/NAME what each
# of its threads has run for a picture: its own instructions, the kernel's, and the thread's name.
counted() {
    /share/instructions "$1" "$seconds" |
        awk -v pictures=$((seconds * fps)) '{ printf "%.0f %.0f %s\n", $1 / pictures, $2 / pictures, $3 }' \
            > "/tmp/$2"
}

# all NAME: of all threads together.
all() { awk '{ sum += $1 + $2 } END { print sum }' "/tmp/$1"; }

# The bare loop's cost, in /tmp/bare.
bare() {
    /share/bare-loop "$camera" /dev/video11 640 480 $fps $(((seconds + 5) * fps)) > /tmp/loop &
    loop=$!
    # Past its beginning.
    sleep 2
    counted $loop bare
    wait $loop
    note "bare loop: $(cat /tmp/loop)"
}

figures() { wget -q -O - http://127.0.0.1:8000/metrics; }

# figure NAME FILE: of the main camera.
figure() { awk -v name="picket_$1{camera=\"main\"}" '$1 == name { print $2 }' "$2"; }

# mean NAME: of the delays noted between the two readings, in milliseconds.
mean() {
    for kind in sum count; do
        figure "$1_seconds_$kind" /tmp/before
        figure "$1_seconds_$kind" /tmp/after
    done | awk '{ n[NR] = $1 } END { printf "%.2f", 1000 * (n[2] - n[1]) / (n[4] - n[3]) }'
}

frames() { figure frames_encoded_total "$1"; }

# The daemon's cost, in /tmp/ours, and its figures before and after.
ours() {
    "$PICKET_BIN" --config /dev/null --log warn --set stream.keep_warm=true \
        --set camera.source=v4l2:vivid --set encoder.backend=v4l2-m2m \
        --set camera.width=640 --set camera.height=480 --set camera.fps=$fps > /tmp/daemon 2>&1 &
    daemon=$!
    until figures > /tmp/before 2>/dev/null && [ "$(frames /tmp/before)" -gt 30 ]; do
        kill -0 $daemon || { cat /tmp/daemon; exit 1; }
        sleep 1
    done
    figures > /tmp/before
    counted $daemon ours
    figures > /tmp/after
    note "copied: $(figure frame_bytes_copied_total /tmp/after) bytes of $(frames /tmp/after) frames;" \
        "dropped: $(figure frames_dropped_total /tmp/after)"
    kill $daemon
    wait $daemon
}

echo "| round | daemon, instructions a frame | bare loop, instructions a frame | ratio |"
echo "|---|---|---|---|"
for round in $(seq "$rounds"); do
    ours
    bare
    awk "BEGIN { printf \"| $round | %d | %d | %.2f |\n\", $(all ours), $(all bare), $(all ours) / $(all bare) }"
done

echo "| thread, last round | the program's own instructions a frame | the kernel's |"
echo "|---|---|---|"
awk '{ printf "| %s | %d | %d |\n", $3, $1, $2 }' /tmp/ours
awk '{ printf "| bare loop | %d | %d |\n", $1, $2 }' /tmp/bare

echo "| stage, mean of the last round | ms |"
echo "|---|---|"
echo "| taken, and picked up by the pipeline | $(mean capture_delay) |"
echo "| transformed | $(mean transform) |"
echo "| encoded by the stand-in | $(mean encode) |"
echo "| **taken until in the hub** | **$(mean hub_delay)** |"
