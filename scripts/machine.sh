# What the scripts share: they ask before they change this machine, and say what they wait for.
# shellcheck shell=bash

# value OPTION [VALUE]...: ends the script where an option's value is missing.
value() {
    [ $# -ge 2 ] && return
    echo "${0##*/}: $1 needs a value; --help tells which" >&2
    exit 2
}

# missing_packages: of lines "PROGRAM PACKAGE", the packages whose programs are not here.
missing_packages() {
    local program package
    # Debian keeps some programs where only root's PATH looks.
    local PATH=$PATH:/usr/sbin:/sbin
    while read -r program package; do
        # Not `command -v`, which would find the shell's own kill.
        type -P "$program" > /dev/null || echo "$package"
    done | sort -u
}

# agreed QUESTION: whether this machine may be changed: by --yes, or by the answer of who sits at
# the terminal. Nobody there is no.
agreed() {
    local answer
    [ -z "${PICKET_YES-}" ] || return 0
    if [ ! -t 0 ] || [ ! -t 2 ]; then
        echo "${0##*/}: there is no terminal to ask at; --yes agrees beforehand" >&2
        return 1
    fi
    read -r -p "$1 [y/N] " answer
    [[ $answer =~ ^[yY]([eE][sS])?$ ]]
}

# as_root COMMAND...
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages PACKAGE...: installs Debian's packages, when that is agreed to, as is the removal of
# those that cannot be there beside them.
install_packages() {
    [ $# -gt 0 ] || return 0
    local script=${0##*/} plan log question="Install them?"
    local install=(apt-get install --no-install-recommends)
    # What was not told is not done.
    local limits=(--no-remove)
    echo "$script needs packages that are not installed: $*" >&2
    if ! type -P apt-get > /dev/null; then
        echo "$script: this machine has no apt-get: install what has the same programs" >&2
        exit 1
    fi
    # What apt would do. It needs no root to say so, and its lists, which a new machine has not. With
    # this option alone it never installs: of --assume-no it takes no notice where nothing but what
    # was named is to be installed.
    plan=$(LC_ALL=C "${install[@]}" --print-uris --assume-yes -o Debug::NoLocking=1 "$@" 2> /dev/null |
        awk '/^(Suggested|Recommended) packages:/ { skip = 1; next }
            skip && /^ / { next }
            { skip = 0 }
            !/^(Reading|Building|\047)/') || true
    if grep -q '^The following packages will be REMOVED' <<< "$plan"; then
        question="Install them, and have apt remove what it says it will?"
        limits=()
    fi
    [ -z "$plan" ] || printf '    %s\n' "${plan//$'\n'/$'\n'    }" >&2
    agreed "$question" || {
        echo "$script: nothing was installed. This does: sudo ${install[*]} $*" >&2
        exit 1
    }
    log=$(mktemp)
    echo "installing them" >&2
    if ! { [ -n "$plan" ] && apt_install "${limits[@]}" "$@"; } > "$log" 2>&1 &&
        # Lists that are missing, or name what is no longer there.
        ! { as_root apt-get update -q && apt_install "${limits[@]}" "$@"; } >> "$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "$script: the packages could not be installed; all that apt said is in $log" >&2
        exit 1
    fi
    rm -f "$log"
}

# apt_install [--no-remove] PACKAGE...
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "$@" < /dev/null
}
