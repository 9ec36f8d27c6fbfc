# What the cases of tests/guest/cases share.
# shellcheck shell=sh

failed=0

# check NAME COMMAND...: a promise, kept if the command succeeds.
check() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        echo "ok $name"
    else
        echo "not ok $name: $(printf '%s\n' "$output" | tail -n 1)"
        printf '%s\n' "$output" | sed 's/^/# /'
        failed=1
    fi
}

# finish: whether all promises were kept, as the exit status of a case.
finish() { return $failed; }

# note TEXT: something measured or seen, for whoever reads the log.
note() { echo "# $*"; }

# load 'MODULE [PARAMETER=VALUE]...'...: loads modules afresh, so that a case depends on no other.
load() {
    for wanted; do
        module=${wanted%% *}
        rmmod "$module" 2>/dev/null
        # shellcheck disable=SC2086 # a module and its parameters
        modprobe $wanted || { echo "not ok $wanted is loaded"; exit 1; }
    done
}

# video_node NAME: the device file of the first video node whose name contains NAME.
video_node() {
    for node in /sys/class/video4linux/video*; do
        case $(cat "$node/name") in
            *"$1"*) echo "/dev/${node##*/}"; return ;;
        esac
    done
    echo "no video node is called $1" >&2
    return 1
}

# serve ARGUMENT...: runs picket until the host says stop. Other lines from the host are commands
# for the guest, with which a test takes a camera away.
serve() {
    "$PICKET_BIN" run "$@" &
    daemon=$!
    {
        while read -r line && [ "$line" != stop ]; do
            sh -c "$line"
        done
        kill -TERM $daemon
    } <&3 &
    wait $daemon
}
