//! Networks as they are at home, made of network namespaces.
//!
//! Needs root, iproute2 and nftables. Without them the tests say so and pass, except in CI.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::daemon::Daemon;

/// Opens a daemon to viewers of another machine.
pub const TOKEN: &str = "a token for machines, long enough";

/// Addresses for documentation (RFC 5737), which are nobody's; one network a line.
pub const PREFIXES: [&str; 2] = ["192.0.2", "198.51.100"];

/// A camera in a network of its own, and viewers in others, each behind its own line.
pub struct Network {
    pub camera: String,
    pub viewers: Vec<String>,
}

pub fn run(command: &str) -> bool {
    let words: Vec<&str> = command.split(' ').collect();
    Command::new(words[0]).args(&words[1..]).status().is_ok_and(|s| s.success())
}

pub fn must(command: &str) {
    assert!(run(command), "{command}");
}

/// Runs something on a thread that lives in a namespace, with all that it starts.
pub fn inside<T: Send>(space: &str, run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(move || {
            let place = File::open(format!("/run/netns/{space}")).expect("the namespace");
            move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("moved in");
            run()
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A beginning for the names of namespaces.
fn unused_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("pk{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Makes the first namespace; false when that is not possible, and that is all right here.
fn possible(first: &str) -> bool {
    if run(&format!("ip netns add {first}")) {
        return true;
    }
    let missing = "network namespaces need root and iproute2";
    assert!(std::env::var_os("CI").is_none(), "{missing}; CI must have them");
    eprintln!("skipped: {missing}");
    false
}

/// Adds a rule set to a namespace.
pub fn filter(space: &str, rules: &str) {
    let mut nft = Command::new("ip")
        .args(["netns", "exec", space, "nft", "-f", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("nft runs");
    let mut stdin = nft.stdin.take().expect("piped");
    // A chain ends with its line.
    let lines = rules.replace("; }", ";\n}\n");
    std::io::Write::write_all(&mut stdin, lines.as_bytes()).expect("taken");
    drop(stdin);
    assert!(nft.wait().is_ok_and(|s| s.success()), "{rules}");
}

impl Network {
    /// `None`: not possible, and that is all right here.
    pub fn with_viewers(lines: usize) -> Option<Self> {
        let name = unused_name();
        let camera = format!("{name}c");
        if !possible(&camera) {
            return None;
        }
        must(&format!("ip -n {camera} link set lo up"));
        let mut network = Self { camera: camera.clone(), viewers: Vec::new() };
        for (i, prefix) in PREFIXES.into_iter().enumerate().take(lines) {
            let viewer = format!("{name}v{i}");
            must(&format!("ip netns add {viewer}"));
            network.viewers.push(viewer.clone());
            must(&format!(
                "ip -n {camera} link add line{i} type veth peer name eth0 netns {viewer}"
            ));
            // A camera's network card sends one packet at a time; so shall this, or a rule that
            // drops one packet in twenty drops whole pictures.
            must(&format!("ip -n {camera} link set line{i} gso_max_segs 1"));
            must(&format!("ip -n {camera} addr add {prefix}.1/24 dev line{i}"));
            must(&format!("ip -n {viewer} addr add {prefix}.2/24 dev eth0"));
            must(&format!("ip -n {camera} link set line{i} up"));
            must(&format!("ip -n {viewer} link set eth0 up"));
            must(&format!("ip -n {viewer} link set lo up"));
        }
        Some(network)
    }

    /// A daemon in one of the networks.
    pub fn command(space: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", space]).arg(env!("CARGO_BIN_EXE_picket"));
        command.args(["--config", "/dev/null", "--set", "http.listen=0.0.0.0:0"]);
        command.args(["--set", "webrtc.udp_port=0"]);
        command
    }

    pub fn daemon(&self) -> Daemon {
        let mut command = Self::command(&self.camera);
        command.args(["--set", "stream.keep_warm=true"]);
        // Small enough for any machine to make all pictures in time: what freezes is the network's.
        command.args(["--set", "camera.width=320", "--set", "camera.height=240"]);
        command.args(["--set", &format!("auth.tokens=[\"{TOKEN}\"]")]);
        let mut daemon = Daemon::spawn(command);
        daemon.token = Some(TOKEN.into());
        daemon
    }

    /// Runs `watch` as a viewer at the end of line `i`.
    pub fn at<T: Send>(&self, i: usize, watch: impl FnOnce() -> T + Send) -> T {
        inside(&self.viewers[i], watch)
    }

    /// Loses `percent` of what comes from the camera by UDP on line `i`.
    pub fn lose(&self, i: usize, percent: u32) {
        filter(
            &self.viewers[i],
            &format!(
                "table inet loss {{ chain in {{ type filter hook input priority 0;
                     ip protocol udp numgen random mod 100 < {percent} drop; }} }}"
            ),
        );
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.viewers.iter().chain([&self.camera]) {
            run(&format!("ip netns del {name}"));
        }
    }
}

/// The daemon as the viewer at the end of line `i` sees it.
pub fn seen_from(daemon: &Daemon, i: usize) -> SocketAddr {
    format!("{}.1:{}", PREFIXES[i], daemon.http.port()).parse().expect("an address")
}

/// A camera and a viewer, each behind a router of its own that lets nothing in but answers, and the
/// camera's pages by TCP; between them the Internet, with room for a STUN and TURN server.
pub struct TwoHomes {
    pub camera: String,
    pub viewer: String,
    pub internet: String,
    routers: [String; 2],
}

impl TwoHomes {
    /// The camera's router, as the world sees it.
    pub const CAMERA: &'static str = "203.0.113.1";
    /// A server in the Internet.
    pub const SERVER: &'static str = "203.0.113.9";
    /// Where the camera's pages are.
    pub const PORT: u16 = 8000;

    /// `None`: not possible, and that is all right here. With `udp`, routers let UDP out.
    pub fn new(udp: bool) -> Option<Self> {
        let name = unused_name();
        let internet = format!("{name}i");
        if !possible(&internet) {
            return None;
        }
        let homes = Self {
            camera: format!("{name}c"),
            viewer: format!("{name}v"),
            internet,
            routers: [format!("{name}r1"), format!("{name}r2")],
        };
        let (camera, viewer, internet) = (&homes.camera, &homes.viewer, &homes.internet);
        for space in [camera, viewer, &homes.routers[0], &homes.routers[1]] {
            must(&format!("ip netns add {space}"));
        }
        must(&format!("ip -n {internet} link add br0 type bridge"));
        must(&format!("ip -n {internet} addr add {}/24 dev br0", Self::SERVER));
        must(&format!("ip -n {internet} link set br0 up"));
        must(&format!("ip -n {internet} link set lo up"));
        for (i, (router, home)) in homes.routers.iter().zip([camera, viewer]).enumerate() {
            let n = i + 1;
            must(&format!("ip -n {internet} link add r{n} type veth peer name wan netns {router}"));
            must(&format!("ip -n {internet} link set r{n} master br0 up"));
            must(&format!("ip -n {router} link add lan type veth peer name eth0 netns {home}"));
            must(&format!("ip -n {router} addr add 203.0.113.{n}/24 dev wan"));
            must(&format!("ip -n {router} addr add 10.{n}.0.1/24 dev lan"));
            must(&format!("ip -n {home} addr add 10.{n}.0.2/24 dev eth0"));
            for (space, link) in [(router, "wan"), (router, "lan"), (home, "eth0"), (home, "lo")] {
                must(&format!("ip -n {space} link set {link} up"));
            }
            must(&format!("ip -n {home} route add default via 10.{n}.0.1"));
            must(&format!("ip netns exec {router} sysctl -qw net.ipv4.ip_forward=1"));
            let out = if udp { "" } else { "meta l4proto udp drop;" };
            filter(
                router,
                &format!(
                    "table ip home {{
                       chain nat {{ type nat hook prerouting priority -100;
                           iifname wan tcp dport {} dnat to 10.{n}.0.2; }}
                       chain out {{ type nat hook postrouting priority 100;
                           oifname wan masquerade; }}
                       chain through {{ type filter hook forward priority 0; policy drop;
                           {out}
                           iifname lan accept;
                           ct state established,related accept;
                           ct status dnat accept; }}
                       chain in {{ type filter hook input priority 0;
                           iifname wan ct state new drop; }}
                     }}",
                    Self::PORT
                ),
            );
        }
        Some(homes)
    }
}

impl TwoHomes {
    pub fn routers(&self) -> &[String; 2] {
        &self.routers
    }
}

impl Drop for TwoHomes {
    fn drop(&mut self) {
        for name in [&self.camera, &self.viewer, &self.internet].into_iter().chain(&self.routers) {
            run(&format!("ip netns del {name}"));
        }
    }
}
