# How Debian's arm64 packages are had on any machine with apt, without touching its own packages.
# shellcheck shell=bash

# own_apt FOLDER SUITES LEFT_OUT: an apt of our own, which keeps its lists and archives in FOLDER,
# knows the SUITES for arm64, and takes the packages LEFT_OUT for installed. The apt commands that
# follow are this apt's.
own_apt() {
    local apt=$1 suites=$2 left_out=$3 mirror package
    # shellcheck disable=SC2016 # apt's own variable
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian' | head -n 1)
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    for package in $left_out; do
        printf 'Package: %s\nStatus: install ok installed\nArchitecture: arm64\n' "$package"
        printf 'Version: 999\nMaintainer: none\nDescription: left out\n\n'
    done > "$apt/status"
    cat > "$apt/debian.sources" <<TEXT
Types: deb deb-src
URIs: ${mirror:-http://deb.debian.org/debian}
Suites: $suites
Components: main
Architectures: arm64 $(dpkg --print-architecture)
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
TEXT
    cat > "$apt/apt.conf" <<TEXT
Dir::Etc::sourcelist "$apt/debian.sources";
Dir::Etc::sourceparts "-";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Architecture "arm64";
APT::Architectures { "arm64"; "$(dpkg --print-architecture)"; };
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
// Some machines empty their cache after each use of apt: not this one.
#clear APT::Update::Post-Invoke;
#clear DPkg::Post-Invoke;
TEXT
    export APT_CONFIG=$apt/apt.conf
    apt-get update -q -q
}

# unpack FOLDER PACKAGE...: the files of packages.
unpack() {
    local folder=$1 package
    shift
    for package; do dpkg-deb -x "$package" "$folder"; done
}

# add FROM TO PATH: copies a program or library from unpacked packages, and the libraries it needs.
add() {
    local from=$1 to=$2 path=$3 library found
    [ ! -e "$to/$path" ] || return 0
    install -D "$from/$path" "$to/$path"
    for library in $(readelf -d "$from/$path" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        found=$(cd "$from" && find usr/lib -name "$library" -print -quit)
        if [ -z "$found" ]; then
            echo "$path needs $library, which none of the packages has" >&2
            return 1
        fi
        add "$from" "$to" "$found"
    done
}
