//! Whether what the configuration asks for can be had: in this build, and on this machine.
//!
//! Reading a file tells whether its values are of the right form; a folder that is not there, a
//! camera that this build cannot drive or a path that hides another are of the right form and no
//! use. Here each is found, told where it stands, and left out or replaced by what can be had, so
//! that Picket starts whatever its file says. `picket check` asks the same without starting, and
//! looks more closely where that takes a while.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::Path;

use super::encoders::hardware_encoders;
use super::{parts, tuning};
use crate::appliance::pin_trouble;
use crate::camera::file::{FileCamera, FileMode};
use crate::camera::{Camera, Constraints};
use crate::config::{Backend, Config, Places, Problem, ProblemKind, Source};
use crate::http::ServeError;
use crate::rtc::StartError;
use crate::site::Site;
use crate::transform::LARGEST;

/// File descriptors that are needed for anything but connections: sockets, devices, clips.
const OTHER_FILES: u64 = 128;

/// What is wrong with a configuration that was read from its file, other than its form, in the order
/// of the file. Starts nothing, and changes nothing.
#[must_use]
pub fn check(mut config: Config, places: &Places) -> Vec<Problem> {
    let mut found = Examiner { config: &mut config, places, problems: Vec::new() };
    found.all();
    found.closely();
    let Examiner { mut problems, .. } = found;
    problems.extend(tuning::examine(&config, places));
    let opened = Site::look(&parts::site_settings(&config));
    // What is to be downloaded cannot be looked at yet.
    let awaited = config.site.download().is_some();
    let (_, of_the_site) = parts::furnish(opened, &config, places, awaited);
    problems.extend(of_the_site);
    problems
}

/// The same for a start: what cannot be had is left out of `config` or replaced in it.
pub(super) fn examine(config: &mut Config, places: &Places) -> Vec<Problem> {
    let mut found = Examiner { config, places, problems: Vec::new() };
    found.all();
    found.problems
}

struct Examiner<'a> {
    config: &'a mut Config,
    places: &'a Places,
    problems: Vec<Problem>,
}

impl Examiner<'_> {
    fn all(&mut self) {
        self.encryption();
        self.source();
        self.size();
        self.encoder();
        self.not_done();
        self.addresses();
        self.ice_servers();
        self.connections();
        self.pins();
    }

    fn refuse(&mut self, key: &'static str, message: &str) {
        self.problems.push(self.places.problem(key, ProblemKind::Refused, message));
    }

    fn encryption(&mut self) {
        if self.config.http.tls.is_none() {
            return;
        }
        let message = "is set, but this version serves no HTTPS: so that no password crosses the \
                       network in the clear, sign-in is locked until it is removed; a proxy in \
                       front of the camera can serve HTTPS";
        let problem = self.places.problem("http.tls", ProblemKind::Refused, message);
        self.config.auth.lock(problem.to_string());
        self.problems.push(problem);
    }

    fn source(&mut self) {
        let left_out = |feature, what| {
            format!(
                "asks for {what}, which this build of Picket cannot use: it was made without the \
                 feature \"{feature}\"; viewers see a card that says so"
            )
        };
        let message = match &self.config.camera.source {
            Source::Libcamera(_) if cfg!(not(feature = "libcamera")) => {
                left_out("libcamera", "a Pi camera")
            }
            Source::V4l2(_) if cfg!(not(feature = "v4l2")) => left_out("v4l2", "a USB camera"),
            Source::V4l2(device) if device.is_absolute() && !device.exists() => {
                let device = device.display();
                format!("asks for {device}, which is not there; viewers see a card until it is")
            }
            Source::File(clip) => match clip_trouble(clip) {
                Some(why) => format!("{why}; viewers see a card until it can be played"),
                None => return,
            },
            Source::Url(_) | Source::Page(_) | Source::Gst(_) => {
                "asks for a stream of another program or device, which this version of Picket \
                 cannot play; viewers see a card that says so"
                    .to_owned()
            }
            _ => return,
        };
        self.refuse("camera.source", &message);
    }

    /// Larger pictures than an encoder takes are made smaller.
    fn size(&mut self) {
        let camera = &self.config.camera;
        let (width, height) = (camera.width.unwrap_or(0), camera.height.unwrap_or(0));
        let (long, short) = LARGEST;
        let (key, wide) =
            if height > width { ("camera.height", height) } else { ("camera.width", width) };
        if wide > long || width.min(height) > short {
            let message = format!(
                "is more than encoders take: a picture that is larger than {long}×{short} is made \
                 smaller"
            );
            self.problems.push(self.places.problem(key, ProblemKind::Warning, &message));
        }
    }

    fn encoder(&mut self) {
        if self.config.encoder.backend != Backend::V4l2M2m {
            return;
        }
        if let Err(why) = hardware_encoders() {
            let message = format!("asks for hardware, but {why}; \"auto\" is used");
            self.refuse("encoder.backend", &message);
            self.config.encoder.backend = Backend::Auto;
        }
    }

    /// What this version does nothing about, so that nobody waits for it to work.
    fn not_done(&mut self) {
        if self.config.camera.stabilize {
            let message = "is set, but this version does not do it yet; it has no effect";
            self.refuse("camera.stabilize", message);
        }
    }

    fn addresses(&mut self) {
        let (places, problems) = (self.places, &mut self.problems);
        keep(&mut self.config.webrtc.announce, |number, address| {
            let useless = match address {
                IpAddr::V4(v4) => v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast(),
                IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
            };
            if useless {
                let message =
                    format!("has {address}, at which nobody can be reached; it is left out");
                let key = "webrtc.announce";
                problems.push(places.entry_problem(key, number, ProblemKind::Refused, &message));
            }
            !useless
        });
    }

    /// Browsers refuse the whole list for one address that they cannot read.
    fn ice_servers(&mut self) {
        let (places, problems) = (self.places, &mut self.problems);
        keep(&mut self.config.webrtc.ice_servers, |number, server| {
            let read = parts::own_ice_server(server).parse();
            if let Err(why) = &read {
                let message = format!("cannot be used as it is: {why}; this server is left out");
                let key = "webrtc.ice_servers";
                problems.push(places.entry_problem(key, number, ProblemKind::Refused, &message));
            }
            read.is_ok()
        });
    }

    /// Each connection is a file to the system, which lets a program have so many.
    fn connections(&mut self) {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let wanted = u64::from(self.config.http.max_connections) + OTHER_FILES;
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current.is_none_or(|current| current >= wanted) {
            return;
        }
        let most = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
        let allowed = if raised.is_ok() { most } else { current.unwrap_or(most) };
        if allowed < wanted {
            let possible = allowed.saturating_sub(OTHER_FILES).max(1);
            let message = format!(
                "asks for more than the system lets Picket have open at once, {allowed} files; \
                 {possible} is used"
            );
            self.refuse("http.max_connections", &message);
            self.config.http.max_connections = u32::try_from(possible).unwrap_or(u32::MAX);
        }
    }

    fn pins(&mut self) {
        let Config { led, button, .. } = &self.config;
        if led.pin.is_none() && button.pin.is_none() {
            return;
        }
        let Some(why) = pin_trouble() else {
            return;
        };
        for (key, pin) in [("led.pin", led.pin), ("button.pin", button.pin)] {
            if pin.is_some() {
                let message = format!("has no effect: {why}");
                let problem = self.places.problem(key, ProblemKind::Refused, &message);
                self.problems.push(problem);
            }
        }
        (self.config.led.pin, self.config.button.pin) = (None, None);
    }

    /// What a start finds out by itself, or when somebody watches.
    fn closely(&mut self) {
        let config = &self.config;
        if let Source::File(clip) = &config.camera.source
            && clip_trouble(clip).is_none()
        {
            let opened = FileCamera::new(clip, FileMode::PassThrough).open(&Constraints::default());
            if let Err(why) = opened {
                let message = format!("names {}, which cannot be played: {why}", clip.display());
                self.refuse("camera.source", &message);
            }
        }
        // A port that is in use may be so by the daemon that this configuration is of.
        let in_use = |why: &std::io::Error| why.kind() == std::io::ErrorKind::AddrInUse;
        let address = self.config.http.listen;
        if let Err(why) = TcpListener::bind(address)
            && !in_use(&why)
        {
            let why = ServeError::Bind { address, why };
            self.refuse("http.listen", &format!("cannot be had: {why}"));
        }
        let port = self.config.webrtc.udp_port;
        if let Err(why) = UdpSocket::bind(("0.0.0.0", port))
            && !in_use(&why)
        {
            let why = StartError::Bind { port, why };
            self.refuse("webrtc.udp_port", &format!("cannot be had: {why}"));
        }
    }
}

/// Keeps the entries of a list that `good` is true of, which is told their numbers in the file.
fn keep<T>(list: &mut Vec<T>, mut good: impl FnMut(&str, &T) -> bool) {
    let mut number = 0;
    list.retain(|entry| {
        let is_good = good(&number.to_string(), entry);
        number += 1;
        is_good
    });
}

/// Why a clip cannot be played, as far as a look at its name tells.
fn clip_trouble(clip: &Path) -> Option<String> {
    let shown = clip.display();
    match std::fs::metadata(clip) {
        Ok(found) if found.is_dir() => {
            Some(format!("names {shown}, which is a folder and no clip"))
        }
        Ok(found) if !found.is_file() => Some(format!("names {shown}, which is no plain file")),
        Ok(_) => std::fs::File::open(clip)
            .err()
            .map(|why| format!("names {shown}, which cannot be read ({why})")),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            Some(format!("names {shown}, which is not there"))
        }
        Err(why) => Some(format!("names {shown}, which cannot be read ({why})")),
    }
}
