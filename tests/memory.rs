//! What was needed for a moment is given back: the camera is as small after a load as before.
//!
//! What is looked at is the memory that is the program's alone (`RssAnon`). Of its file, which is
//! large without optimization, ever more is resident the more of it has been run.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::alone;
use common::client::{connect, get};
use common::daemon::{Daemon, PATIENCE, wait_for};
use common::peer::Offered;
use picket::config::PasswordHash;
use socket2::{Domain, Socket, Type};

/// What a check of a password takes (`PasswordHash`), in kB.
const CHECK: u64 = 19 << 10;
/// What may be left of any load, in kB.
const LEFT: u64 = 4 << 10;

fn memory(daemon: &Daemon) -> u64 {
    daemon.proc_status("RssAnon:")
}

fn with_password() -> String {
    let hash = PasswordHash::of("correct horse battery").expect("hashed");
    format!("auth.password_hash={}", hash.expose())
}

/// Guesses a password, from the `n`th address of this machine, and gives the status.
fn guess(daemon: &Daemon, n: usize) -> u16 {
    let [high, low] = u16::try_from(n).expect("that many").to_be_bytes();
    let from: SocketAddr = (Ipv4Addr::new(127, 1, high, low), 0).into();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&from.into()).expect("an address of this machine");
    socket.connect(&daemon.http.into()).expect("accepted");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("settable");
    let body = "{\"password\": \"a wrong guess\"}";
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// Makes `count` guesses, several at once, so that one thread checks this and another that.
fn guess_wrong(daemon: &Daemon, count: usize) {
    const AT_ONCE: usize = 5;
    std::thread::scope(|scope| {
        for thread in 0..AT_ONCE {
            scope.spawn(move || {
                for n in (thread..count).step_by(AT_ONCE) {
                    // Who has to wait for a turn for too long asks again.
                    let mut status = 429;
                    wait_for("a turn", || {
                        status = guess(daemon, n + 1);
                        status != 429
                    });
                    assert_eq!(status, 401);
                }
            });
        }
    });
}

#[test]
fn wrong_passwords_leave_no_memory_in_use() {
    let _alone = alone();
    let daemon = Daemon::start(&[&with_password(), "log.level=info"]);
    // Starts the threads.
    guess_wrong(&daemon, 5);
    let before = memory(&daemon);
    let most_before = daemon.proc_status("VmHWM:");
    for _ in 0..3 {
        guess_wrong(&daemon, 10);
        let after = memory(&daemon);
        println!("memory: {before} kB before, {after} kB after");
        assert!(after < before + LEFT, "{before} kB before, {after} kB after");
    }
    let most = daemon.proc_status("VmHWM:");
    // The first ones had one block, too.
    assert!(most < most_before + CHECK / 2, "{most_before} kB at most before, {most} kB after");
}

/// A control group whose processes are ended when they use more than 64 MiB. Needs the right to
/// make one, which a container mostly lacks.
struct Bounded(PathBuf);

impl Bounded {
    fn make() -> Option<Self> {
        // Of the second version, and of the first.
        let kinds = [("/sys/fs/cgroup", "memory.max"), MEMORY_V1];
        kinds.into_iter().find_map(|(parent, limit)| {
            let group = Path::new(parent).join(format!("picket-test-{}", std::process::id()));
            fs::create_dir(&group).ok()?;
            let group = Self(group);
            // Else it is a folder in which nothing has a meaning, or memory is not counted.
            group.0.join(limit).exists().then_some(())?;
            fs::write(group.0.join(limit), (64 << 20).to_string()).ok()?;
            Some(group)
        })
    }
}

const MEMORY_V1: (&str, &str) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes");

impl Drop for Bounded {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn wrong_passwords_do_not_end_a_camera_that_has_64_mib() {
    let Some(group) = Bounded::make() else {
        eprintln!("skipped: the memory of a process cannot be bounded here");
        return;
    };
    let plain = Daemon::command(&[&with_password(), "log.level=info"]);
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(group.0.join("cgroup.procs"));
    command.arg(plain.get_program()).args(plain.get_args());
    let daemon = Daemon::spawn(command);
    guess_wrong(&daemon, 15);
    assert_eq!(get(daemon.http, "/healthz").status, 200);
}

/// Templates that would take hundreds of megabytes, each by a way of its own.
const GREEDY: [&str; 8] = [
    "{{ 'x' * 99000000 }}",
    "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}\
     {% endfor %}",
    "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set x %}{{ ns.s }}{{ ns.s }}\
     {% endset %}{% set ns.s = x %}{% endfor %}",
    "{{ range(9000)|join('x' * 100000)|length }}",
    "{{ ('x,' * 1000000).split(',')|length }}",
    "{{ ([1] * 90000000)|list|length }}",
    "{% set s %}{% for i in range(99999) %}A line that is written again and again.{% endfor %}\
     {% endset %}",
    "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}\
     {{ ns.l }}",
];

#[test]
fn no_template_uses_more_than_8_mib() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let location = format!("site.data_location={}", folder.path().display());
    let templates = folder.path().join("templates");
    fs::create_dir(&templates).expect("made");
    fs::write(templates.join("greedy.html"), "nothing").expect("written");
    let daemon = Daemon::start(&[&location, "http.pages./greedy=greedy.html", "log.level=info"]);
    // Of a page that goes wrong in the usual way.
    fs::write(templates.join("greedy.html"), "{{ 1 / 0 }}").expect("written");
    assert_eq!(get(daemon.http, "/greedy").status, 500);
    for template in GREEDY {
        fs::write(templates.join("greedy.html"), template).expect("written");
        let reset = fs::write(format!("/proc/{}/clear_refs", daemon.pid()), "5");
        reset.expect("what was needed most is forgotten");
        let before = daemon.proc_status("VmRSS:");
        assert_eq!(get(daemon.http, "/greedy").status, 500, "{template}");
        let most = daemon.proc_status("VmHWM:");
        println!("{} kB more for {template}", most.saturating_sub(before));
        assert!(most < before + (8 << 10), "{before} kB before, {most} kB for {template}");
    }
}

#[test]
fn viewers_pictures_and_pages_leave_no_memory_in_use() {
    let _alone = alone();
    let camera = ["camera.width=1280", "camera.height=720", "camera.fps=10"];
    let daemon =
        Daemon::start(&[&camera[..], &["stream.keep_warm=true", "log.level=info"]].concat());
    let loads: [(&str, &dyn Fn()); 4] = [
        ("snapshots", &|| {
            for _ in 0..50 {
                assert_eq!(status_of(&daemon, "/snapshot.jpg"), 200);
            }
        }),
        ("motion pictures", &|| watch_mjpeg(&daemon)),
        ("pages", &|| {
            for path in ["/", "/static/js/custom.js", "/nothing", "/api/v1/status"].repeat(20) {
                get(daemon.http, path);
            }
        }),
        ("viewers", &|| {
            for _ in 0..20 {
                let mut peer = Offered::new().send(&daemon);
                peer.run_until("connected", |seen| seen.connected);
                peer.close();
            }
            wait_for("all gone", || daemon.connected() == 0);
        }),
    ];
    // The first round fills pools and caches.
    loads.iter().for_each(|(_, load)| load());
    for (what, load) in loads {
        let before = memory(&daemon);
        load();
        let after = memory(&daemon);
        println!("{what}: {before} kB before, {after} kB after");
        assert!(after < before + LEFT, "{what}: {before} kB before, {after} kB after");
    }
}

/// The status of an answer whose body is no text.
fn status_of(daemon: &Daemon, path: &str) -> u16 {
    ureq::get(&daemon.url(path)).call().expect("an answer").status().as_u16()
}

/// Twenty watch by MJPEG, see a few pictures and leave.
fn watch_mjpeg(daemon: &Daemon) {
    let mut all: Vec<TcpStream> = (0..20).map(|_| connect(daemon.http)).collect();
    for stream in &mut all {
        stream.write_all(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        stream.set_read_timeout(Some(PATIENCE)).expect("settable");
    }
    for stream in &mut all {
        let mut seen = Vec::new();
        let boundaries = |seen: &[u8]| seen.windows(8).filter(|w| w == b"boundary").count();
        let mut buffer = vec![0; 1 << 16];
        while boundaries(&seen) < 3 {
            let read = stream.read(&mut buffer).expect("a picture in time");
            assert!(read > 0, "the stream ended");
            seen.extend_from_slice(&buffer[..read]);
        }
    }
    drop(all);
    wait_for("all gone", || daemon.get_json("/api/v1/status")["viewers"]["mjpeg"] == 0);
}
