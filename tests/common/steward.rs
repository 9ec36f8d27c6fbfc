//! A stand-in for the steward, the image's part that runs as root: it speaks the same messages at a
//! socket of its own, and does nothing but what the test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use picket::testing::appliance::{
    BootSlot, CameraReport, DeviceStatus, LinkStatus, STEWARD_VARIABLE, SeenNetwork, StewardReply,
    StewardRequest, UpdateOutcome, UpdateStatus, WifiStatus,
};

use super::daemon::{Daemon, PATIENCE};

pub struct StandIn {
    folder: tempfile::TempDir,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// What it says, and what it was told.
#[derive(Default)]
pub struct State {
    pub status: DeviceStatus,
    pub networks: Vec<SeenNetwork>,
    /// Why no network is joined, if none is.
    pub no_network: Option<String>,
    /// After how many bytes an update is refused, and why.
    pub no_update: Option<(u64, String)>,
    /// Whether installations stop at half their way until this is no longer so.
    pub hold: bool,
    pub log: Vec<String>,
    /// Everything it was asked but how it is.
    pub asked: Vec<StewardRequest>,
    /// Bundles it received, and whether each was whole. Kept by their sums: they are large.
    pub bundles: Vec<(u64, u64, bool)>,
    pub installed: usize,
}

impl StandIn {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("door")).expect("a socket");
        let shared = Arc::new(Shared::default());
        let this = Self { folder, shared: shared.clone() };
        this.state().status = status();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                // Who hangs up in the middle is no reason to fail here.
                std::thread::spawn(move || drop(attend(stream, &shared)));
            }
        });
        this
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("door")
    }

    /// A daemon that was started by it.
    pub fn daemon(&self, settings: &[&str]) -> Daemon {
        let mut command = Daemon::command(settings);
        command.env(STEWARD_VARIABLE, self.socket());
        Daemon::spawn(command)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("whole")
    }

    /// Lets an installation that was held go on.
    pub fn release(&self) {
        self.state().hold = false;
        self.shared.changed.notify_all();
    }

    /// What it was asked, without what every daemon tells it by itself.
    pub fn asked(&self) -> Vec<StewardRequest> {
        let state = self.state();
        let by_itself = |r: &&StewardRequest| {
            matches!(r, StewardRequest::Report(_) | StewardRequest::FoundAs { .. })
        };
        state.asked.iter().filter(|r| !by_itself(r)).cloned().collect()
    }
}

/// A device on which all is well.
pub fn status() -> DeviceStatus {
    DeviceStatus {
        version: "0.2.0".into(),
        board: "picket-rpi64".into(),
        slot: Some(BootSlot::A),
        hostname: "porch".into(),
        port: 80,
        password_set: true,
        links: vec![LinkStatus {
            name: "wlan0".into(),
            wireless: true,
            addresses: vec!["192.168.1.7".parse().unwrap(), "fd00::7".parse().unwrap()],
        }],
        wifi: WifiStatus::Joined { ssid: "home".into() },
        camera: CameraReport { name: Some("imx708".into()), fault: None, picture: true },
        ..DeviceStatus::default()
    }
}

pub fn own_network() -> WifiStatus {
    WifiStatus::AccessPoint {
        ssid: "Picket-1A2B".into(),
        key: "abcd-efgh-jkmn-pqrs".into(),
        address: Ipv4Addr::new(192, 168, 4, 1),
    }
}

pub fn seen(ssid: &str, signal: i32, open: bool) -> SeenNetwork {
    SeenNetwork { ssid: ssid.into(), signal, open }
}

/// What a bundle of those bytes is remembered by.
pub fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()))
}

fn attend(stream: UnixStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut line)?;
    let request: StewardRequest = serde_json::from_str(&line)?;
    let mut say = |stream: &UnixStream, reply: &StewardReply| {
        let mut line = serde_json::to_vec(reply).expect("written");
        line.push(b'\n');
        (&*stream).write_all(&line)
    };
    let mut state = shared.state.lock().expect("whole");
    if request != StewardRequest::Status {
        state.asked.push(request.clone());
    }
    let reply = match request {
        StewardRequest::Status => StewardReply::Status(Box::new(state.status.clone())),
        StewardRequest::Networks => StewardReply::Networks { networks: state.networks.clone() },
        StewardRequest::Log => StewardReply::Log { lines: state.log.clone() },
        StewardRequest::Join(join) => match &state.no_network {
            Some(why) => StewardReply::Refused { why: why.clone() },
            None => {
                state.status.wifi = WifiStatus::Joined { ssid: join.ssid };
                StewardReply::Done
            }
        },
        StewardRequest::Install { length } => {
            drop(state);
            return install(&mut reader, length, shared, &mut say);
        }
        _ => StewardReply::Done,
    };
    drop(state);
    say(reader.get_ref(), &reply)
}

fn install(
    reader: &mut BufReader<UnixStream>,
    length: u64,
    shared: &Shared,
    say: &mut impl FnMut(&UnixStream, &StewardReply) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let refusal = shared.state.lock().expect("whole").no_update.clone();
    let (mut got, mut sum, mut told) = (0, 0_u64, 0);
    let mut buffer = vec![0; 64 * 1024];
    while got < length {
        if let Some((after, why)) = &refusal
            && got >= *after
        {
            return say(reader.get_ref(), &StewardReply::Refused { why: why.clone() });
        }
        let read = reader.read(&mut buffer)?;
        let part = &buffer[..read];
        sum = part.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
        got += read as u64;
        if read == 0 {
            break;
        }
        let percent = (got * 30 / length) as u8;
        if percent > told {
            told = percent;
            say(reader.get_ref(), &StewardReply::Progress { percent, step: "receiving".into() })?;
        }
    }
    let mut state = shared.state.lock().expect("whole");
    state.bundles.push((got, sum, got == length));
    if got < length {
        return Ok(());
    }
    state.status.update.outcome = UpdateOutcome::Installing { percent: 50 };
    // Nobody may be listening any more.
    let _ = say(reader.get_ref(), &StewardReply::Progress { percent: 50, step: "writing".into() });
    let held = shared.changed.wait_timeout_while(state, PATIENCE, |state| state.hold);
    let (mut state, _) = held.expect("whole");
    if let Some((_, why)) = refusal {
        state.status.update = UpdateStatus::default();
        return say(reader.get_ref(), &StewardReply::Refused { why });
    }
    state.installed += 1;
    state.status.update.outcome = UpdateOutcome::Installing { percent: 100 };
    let _ =
        say(reader.get_ref(), &StewardReply::Progress { percent: 100, step: "restarting".into() });
    let _ = say(reader.get_ref(), &StewardReply::Done);
    Ok(())
}
