#!/bin/sh
# What a picture costs the processor on its way from the camera to the hub, and how long it takes:
# the daemon, with vivid and the stand-in for the Pi's encoder, beside the bare loop, which does no
# more than what must be done. Both devices work in threads of the kernel's and are in neither
# figure. To be run by scripts/bench --guest.
# shellcheck source=tests/guest/lib.sh
. /share/lib.sh

rounds=${1:-3}
seconds=${2:-20}
fps=15

load 'vivid n_devs=1 node_types=0x1 allocators=1' 'bcm2835-codec-stand-in key_budget=200000'
camera=$(video_node vivid)

# Microseconds of processor time that the bare loop takes for a frame.
bare() {
    /share/bare-loop "$camera" /dev/video11 640 480 $fps $((seconds * fps)) |
        sed -n 's/.*per frame \([0-9]*\) us in the program, \([0-9]*\) us.*/\1 \2/p' |
        awk '{ print $1 + $2 }'
}

figures() { wget -q -O - http://127.0.0.1:8000/metrics; }

# figure NAME FILE
figure() { awk -v name="picket_$1" '$1 == name { print $2 }' "$2"; }

# threads: what each thread has taken of it: number, name, nanoseconds.
threads() {
    for thread in "/proc/$daemon/task"/*; do
        echo "${thread##*/} $(tr ' ' - < "$thread/comm") $(cut -d' ' -f1 "$thread/schedstat")"
    done
}

# Nanoseconds of processor time, of a list of threads.
taken() { awk '{ sum += $3 } END { printf "%.0f", sum }' "$1"; }

# mean NAME: of the delays noted between the two readings, in milliseconds.
mean() {
    for kind in sum count; do
        figure "$1_seconds_$kind" /tmp/before
        figure "$1_seconds_$kind" /tmp/after
    done | awk '{ n[NR] = $1 } END { printf "%.2f", 1000 * (n[2] - n[1]) / (n[4] - n[3]) }'
}

frames() { figure frames_encoded_total "$1"; }

# Leaves in $ours what the daemon takes for a frame.
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
    threads > /tmp/begun
    sleep "$seconds"
    threads > /tmp/ended
    figures > /tmp/after
    encoded=$(($(frames /tmp/after) - $(frames /tmp/before)))
    ours=$(awk "BEGIN { printf \"%.0f\", ($(taken /tmp/ended) - $(taken /tmp/begun)) / 1000 / $encoded }")
    note "by thread, us a frame:$(awk -v frames="$encoded" '
        NR == FNR { begun[$1] = $3; next }
        { printf " %s %.1f", $2, ($3 - begun[$1]) / 1000 / frames }' /tmp/begun /tmp/ended)"
    note "copied: $(figure frame_bytes_copied_total /tmp/after) bytes of $(frames /tmp/after) frames;" \
        "dropped: $(figure frames_dropped_total /tmp/after)"
    # Afterwards, because counting costs the kernel something with each change of threads.
    /share/instructions $daemon "$seconds" > /tmp/instructions
    note "by thread, instructions a frame, its own + the kernel's:$(awk -v frames=$((seconds * fps)) '
        { printf " %s %.0f + %.0f,", $3, $1 / frames, $2 / frames }' /tmp/instructions)"
    kill $daemon
    wait $daemon
}

echo "| round | daemon, us a frame | bare loop, us a frame | ratio |"
echo "|---|---|---|---|"
for round in $(seq "$rounds"); do
    ours
    bare=$(bare)
    awk "BEGIN { printf \"| $round | %d | %d | %.2f |\n\", $ours, $bare, $ours / $bare }"
done

echo "| stage, mean of the last round | ms |"
echo "|---|---|"
echo "| taken, and picked up by the pipeline | $(mean capture_delay) |"
echo "| transformed | $(mean transform) |"
echo "| encoded by the stand-in | $(mean encode) |"
echo "| **taken until in the hub** | **$(mean hub_delay)** |"
