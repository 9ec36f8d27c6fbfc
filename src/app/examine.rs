//! Whether what the configuration asks for can be had: in this build, and on this machine.
//!
//! Reading a file tells whether its values are of the right form; a folder that is not there, a
//! camera that this build cannot drive or a path that hides another are of the right form and no
//! use. Here each is found, told where it stands, and left out or replaced by what can be had, so
//! that Picket starts whatever its file says. `picket check` asks the same without starting, and
//! looks more closely where that takes a while.

use std::cell::LazyCell;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::Path;

use super::encoders::hardware_encoders;
use super::sign_ins::data_folder;
use super::{parts, tuning};
use crate::appliance::{StewardClient, gpio_unavailable};
use crate::camera::file::FileCamera;
use crate::camera::{Camera, CaptureMode, Constraints};
use crate::config::{
    self, Acme, Backend, CameraName, CameraSettings, Config, DnsChallenge, Places, Problem,
    ProblemKind, Source, Tls,
};
use crate::http::ServeError;
use crate::site::Site;
use crate::transform::MAX_FRAME_SIZE;
use crate::webrtc::StartError;

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
    let opened = Site::inspect(&parts::site_settings(&config));
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
        self.cameras();
        self.addresses();
        self.ice_servers();
        self.connections();
        self.pins();
    }

    fn refuse(&mut self, key: &'static str, message: &str) {
        self.problems.push(self.places.problem(key, ProblemKind::Refused, message));
    }

    fn encryption(&mut self) {
        if let Some(why) = self.config.http.tls.acme().and_then(acme_unavailable) {
            self.refuse(
                "http.tls",
                &format!("asks for {why}; the certificate of \"auto\" is shown"),
            );
            self.config.http.tls = Tls::Auto;
        }
        let what = match &self.config.http.tls {
            Tls::Off | Tls::Files { .. } => return,
            Tls::Auto => {
                "makes a certificate anew at each start, which browsers must be told to trust each \
                 time"
            }
            Tls::Acme(_) => {
                "orders a certificate anew at each start, which authorities refuse after a few times"
            }
        };
        if data_folder(self.config).is_none() {
            let message = format!("{what}: set site.data_location to a folder to keep it in");
            let problem = self.places.problem("http.tls", ProblemKind::Warning, &message);
            self.problems.push(problem);
        }
    }

    /// Each camera's own settings.
    fn cameras(&mut self) {
        let (mut faults, mut without_hardware) = (shared_sources(self.config), Vec::new());
        let hardware = LazyCell::new(hardware_encoders);
        for camera in &mut self.config.cameras {
            if camera.camera.tuning_file.take().is_some() {
                let message = "is left out: `camera.tuning_file` is that of all cameras on the Pi's \
                               ribbon cables";
                faults.push((camera.name.clone(), Fault::refused("tuning_file", message.into())));
            }
        }
        for settings in self.config.all_cameras() {
            let CameraSettings { name, camera, encoder } = settings;
            let found = [source_fault(&camera.source), size_fault(camera), not_done(camera)];
            faults.extend(found.into_iter().flatten().map(|fault| (name.clone(), fault)));
            if encoder.backend == Backend::V4l2M2m
                && let Err(why) = &*hardware
            {
                let message = format!("asks for hardware, but {why}; \"auto\" is used");
                faults.push((name.clone(), Fault::refused("backend", message)));
                without_hardware.push(name.clone());
            }
        }
        for (name, Fault { key, kind, message }) in faults {
            self.problems.push(self.places.camera_problem(&name, key, kind, &message));
        }
        for name in without_hardware {
            match self.config.cameras.iter_mut().find(|camera| camera.name == name) {
                Some(camera) => camera.encoder.backend = Backend::Auto,
                None => self.config.encoder.backend = Backend::Auto,
            }
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
            let read = parts::ice_server(server).parse();
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
        let Some(why) = gpio_unavailable() else {
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
        for CameraSettings { name, camera, .. } in self.config.all_cameras() {
            let Source::File(clip) = &camera.source else { continue };
            if clip_trouble(clip).is_some() {
                continue;
            }
            let opened =
                FileCamera::new(clip, CaptureMode::PassThrough).open(&Constraints::default());
            if let Err(why) = opened {
                let message = format!("names {}, which cannot be played: {why}", clip.display());
                let kind = ProblemKind::Refused;
                self.problems.push(self.places.camera_problem(name, "source", kind, &message));
            }
        }
        if let Tls::Files { cert, key } = &self.config.http.tls {
            match crate::tls::check_files(cert, key) {
                Ok(concerns) => self.problems.extend(
                    concerns
                        .iter()
                        .map(|what| self.places.problem("http.tls", ProblemKind::Warning, what)),
                ),
                Err(why) => self.refuse("http.tls", &unusable_certificate(&why)),
            }
        }
        // A port that is in use may be so by the daemon that this configuration is of.
        let in_use = |why: &std::io::Error| why.kind() == std::io::ErrorKind::AddrInUse;
        let address = self.config.http.listen;
        if let Err(why) = TcpListener::bind(address)
            && !in_use(&why)
        {
            let why = ServeError::Bind { key: "http.listen", address, why };
            self.refuse("http.listen", &format!("cannot be had: {why}"));
        }
        let address = self.config.http.listen_tls();
        if self.config.http.tls != Tls::Off
            && let Err(why) = TcpListener::bind(address)
            && !in_use(&why)
        {
            let why = ServeError::Bind { key: "http.tls_listen", address, why };
            self.refuse("http.tls_listen", &format!("cannot be had: {why}"));
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

/// What is wrong with a key of a camera, by the key's name in its entry.
struct Fault {
    key: &'static str,
    kind: ProblemKind,
    message: String,
}

impl Fault {
    fn refused(key: &'static str, message: String) -> Self {
        Self { key, kind: ProblemKind::Refused, message }
    }
}

/// Why a certificate by ACME cannot be had here.
fn acme_unavailable(acme: &Acme) -> Option<String> {
    if cfg!(not(feature = "acme")) {
        let why = "a certificate by ACME, which this build of Picket cannot get: it was made without \
                   the feature \"acme\"";
        return Some(why.to_owned());
    }
    // What is configured on a device is never a command.
    let on_the_image = StewardClient::from_environment().is_some();
    let hook = matches!(acme.challenge, DnsChallenge::Hook(_));
    (on_the_image && hook).then(|| {
        "a program to be run, which the image does not do: use dns_server and dns_key".to_owned()
    })
}

/// What it means that the owner's own certificate cannot be used.
pub(super) fn unusable_certificate(why: &str) -> String {
    format!("{why}; the certificate of \"auto\" is shown meanwhile")
}

/// Further cameras whose device another one may take. None is left out: only the owner knows which of
/// the two is meant.
fn shared_sources(config: &Config) -> Vec<(CameraName, Fault)> {
    let cameras: Vec<_> = config.all_cameras().collect();
    let mut shared = Vec::new();
    for (number, camera) in cameras.iter().enumerate() {
        let before = || cameras[..number].iter();
        let certain = || {
            before().find(|other| match (&other.camera.source, &camera.camera.source) {
                (Source::V4l2(a), Source::V4l2(b)) => a == b,
                (Source::Libcamera(a), Source::Libcamera(b)) => a.is_same(b),
                (Source::Auto, Source::Auto) => true,
                _ => false,
            })
        };
        let possible = || {
            before().find_map(|other| match (&other.camera.source, &camera.camera.source) {
                (Source::Auto, Source::V4l2(_) | Source::Libcamera(_)) => Some(format!(
                    "may be taken by the camera `{}`, whose source is \"auto\": set its source, too",
                    other.name
                )),
                (Source::V4l2(_) | Source::Libcamera(_), Source::Auto) => Some(format!(
                    "is \"auto\", which may take the device of the camera `{}`: set this source, too",
                    other.name
                )),
                _ => None,
            })
        };
        if let Some(message) = certain().map(|other| same_device(other.name)).or_else(possible) {
            let fault = Fault { key: "source", kind: ProblemKind::Warning, message };
            shared.push((camera.name.clone(), fault));
        }
    }
    shared
}

fn same_device(other: &CameraName) -> String {
    format!(
        "is the device of the camera `{other}` as well; only one of them can open it, and the other \
         one will have no picture"
    )
}

fn source_fault(source: &Source) -> Option<Fault> {
    let left_out = |feature, what| {
        format!(
            "asks for {what}, which this build of Picket cannot use: it was made without the \
             feature \"{feature}\"; viewers see a placeholder that says so"
        )
    };
    let message = match source {
        Source::Libcamera(_) if cfg!(not(feature = "libcamera")) => {
            left_out("libcamera", "a Pi camera")
        }
        Source::V4l2(_) if cfg!(not(feature = "v4l2")) => left_out("v4l2", "a USB camera"),
        Source::V4l2(device) if device.is_absolute() && !device.exists() => {
            let device = device.display();
            format!("asks for {device}, which is not there; viewers see a placeholder until it is")
        }
        Source::File(clip) => {
            format!("{}; viewers see a placeholder until it can be played", clip_trouble(clip)?)
        }
        Source::Url(_) | Source::Page(_) | Source::Gst(_) => {
            "asks for a stream of another program or device, which this version of Picket cannot \
             play; viewers see a placeholder that says so"
                .to_owned()
        }
        _ => return None,
    };
    Some(Fault::refused("source", message))
}

/// Larger pictures than an encoder takes are made smaller.
fn size_fault(camera: &config::Camera) -> Option<Fault> {
    let (width, height) = (camera.width.unwrap_or(0), camera.height.unwrap_or(0));
    let (long, short) = MAX_FRAME_SIZE;
    let (key, wide) = if height > width { ("height", height) } else { ("width", width) };
    let message = format!(
        "is more than encoders take: a picture that is larger than {long}×{short} is made smaller"
    );
    let is_too_large = wide > long || width.min(height) > short;
    is_too_large.then_some(Fault { key, kind: ProblemKind::Warning, message })
}

/// What this version does nothing about, so that nobody waits for it to work.
fn not_done(camera: &config::Camera) -> Option<Fault> {
    let message = "is set, but this version does not do it yet; it has no effect";
    camera.stabilize.then(|| Fault::refused("stabilize", message.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(main: &str, further: &[(&str, &str)]) -> Config {
        let entry =
            |(name, source)| format!("[[cameras]]\nname = \"{name}\"\nsource = \"{source}\"\n");
        let entries: String = further.iter().copied().map(entry).collect();
        let file = format!("[camera]\nsource = \"{main}\"\n{entries}");
        let loaded = Config::load(file.as_bytes(), "config.toml");
        assert_eq!(loaded.problems, [], "{file}");
        loaded.config
    }

    #[test]
    fn two_cameras_of_one_device_are_warned_of() {
        for (main, further, other) in [
            ("v4l2:/dev/video0", "v4l2:/dev/video0", "main"),
            ("libcamera", "libcamera:0", "main"),
            ("auto", "auto", "main"),
            ("pattern", "libcamera:1", "first"),
            // What is certain comes before what may be.
            ("auto", "libcamera:1", "first"),
        ] {
            let config = config(main, &[("first", "libcamera:1"), ("second", further)]);
            assert_eq!(config.cameras.len(), 2, "none is left out");
            let told = shared_sources(&config);
            let of_second: Vec<_> = told.iter().filter(|(of, _)| of.as_str() == "second").collect();
            let [(_, fault)] = &of_second[..] else { panic!("{main}, {further}") };
            assert_eq!((fault.key, fault.kind), ("source", ProblemKind::Warning));
            let expected = format!("is the device of the camera `{other}` as well");
            assert!(fault.message.starts_with(&expected), "{}", fault.message);
        }
        for source in ["pattern", "file:clip.mp4", "v4l2:/dev/video0"] {
            let further = source.replace("video0", "video2");
            assert!(shared_sources(&config(source, &[("first", &further)])).is_empty());
        }
    }

    #[test]
    fn a_camera_of_libcamera_is_the_same_only_where_that_is_certain() {
        let told = |a, b| !shared_sources(&config(a, &[("other", b)])).is_empty();
        assert!(told("libcamera:/base/a", "libcamera:/base/a"));
        assert!(!told("libcamera:/base/a", "libcamera:/base/b"));
        assert!(!told("libcamera:/base/a", "libcamera:0"));
        assert!(!told("libcamera:1", "libcamera"));
    }
}
