//! What the daemon has to do with the device it runs on: it tells the steward how the camera is,
//! has it keep the password, looks for updates, and answers for the device's name.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::first_camera::{LOOKS, LOOKS_FOR_NONE, TEST_PICTURE};
use crate::appliance::{
    AlternativeName, CameraReport, Device, HttpsStatus, MdnsResponder, StewardClient, StewardError,
    StewardRequest,
};
use crate::config::{Config, PasswordHash, Source};
use crate::http::PasswordStore;
use crate::hub::{Hub, SourceInfo, SourceState, TrackId};

/// How long the camera is kept on after the start, if no picture comes from it. A system that was
/// just installed is judged by it.
const FIRST_LOOK: Duration = Duration::from_secs(3 * 60);

/// How long a camera is looked for after the start, if there is none: its driver may still be on its
/// way.
const FIRST_SEARCH: Duration = Duration::from_secs(30);

/// How long until a steward that was away is told again.
const TOLD_AGAIN: Duration = Duration::from_secs(5);

/// What the owner is told while the test picture stands in for a camera.
const NO_CAMERA: &str =
    "none was found, so the test picture is shown; if there is one, check its cable";

/// Keeps a password set on the page on the card, by way of the steward.
pub(super) struct OnTheCard(pub(super) StewardClient);

impl PasswordStore for OnTheCard {
    fn store(&self, hash: &PasswordHash) -> Result<(), String> {
        let hash = hash.expose().to_owned();
        let kept = self.0.ask_blocking(&StewardRequest::KeepPassword { hash });
        kept.map(drop).map_err(|e| e.to_string())
    }
}

/// The device as its owner's page has it. From now on it looks for updates.
pub(super) fn look_after(
    steward: StewardClient,
    config: &Config,
    hub: Hub,
    runtime: &Handle,
) -> Device {
    let device = Device::new(steward, config.update.clone());
    runtime.spawn(device.updates().clone().run(move || hub.viewers() > 0));
    device
}

/// Answers for the device's name, as long as the result lives. `other` is told of the name it goes by
/// where another device has its own.
pub(super) fn announce(
    config: &Config,
    port: u16,
    other: watch::Sender<AlternativeName>,
) -> Option<MdnsResponder> {
    let name = config.device.hostname.as_str();
    MdnsResponder::start(name, port, other)
        .map_err(|error| log::warn!("the device is not found as {name}.local: {error}"))
        .ok()
}

/// Tells the steward of HTTPS.
pub(super) async fn report_https(steward: StewardClient, https: HttpsStatus) {
    tell(&steward, &StewardRequest::Https(https), "HTTPS").await;
}

/// Tells the steward, who may be away for a while.
async fn tell(steward: &StewardClient, request: &StewardRequest, what: &str) {
    while let Err(error) = steward.ask(request).await {
        log::debug!("the steward was not told of {what}: {error}");
        if matches!(error, StewardError::Refused(_)) {
            break;
        }
        tokio::time::sleep(TOLD_AGAIN).await;
    }
}

/// Tells the steward of another name by which the device is found.
pub(super) async fn report_name(
    steward: StewardClient,
    mut other: watch::Receiver<AlternativeName>,
) {
    while other.changed().await.is_ok() {
        let Some(name) = other.borrow_and_update().clone() else { continue };
        tell(&steward, &StewardRequest::FoundAs { name }, "the device's name").await;
    }
}

/// Tells the steward how the camera is. To know it, the camera is switched on at the start, until
/// a picture has come from it.
pub(super) async fn report(steward: StewardClient, wanted: Source, hub: Hub) {
    let mut look = Some(hub.join(TrackId::MAIN));
    let start = tokio::time::Instant::now();
    let (mut source, mut notifier) = (hub.source(), hub.notifier());
    let mut witness = Witness::new(wanted);
    let mut told = None;
    loop {
        let state = source.borrow_and_update().clone();
        witness.sees(&state, hub.totals(TrackId::MAIN).samples);
        let report = &witness.report;
        let patience = match (report.picture, &report.fault) {
            (true, None) => Duration::ZERO,
            (true, Some(_)) => FIRST_SEARCH,
            (false, _) => FIRST_LOOK,
        };
        if start.elapsed() >= patience {
            drop(look.take());
        }
        if told.as_ref() != Some(report) {
            match steward.ask(&StewardRequest::Report(report.clone())).await {
                Ok(_) => told = Some(report.clone()),
                Err(error) => log::debug!("the steward was not told of the camera: {error}"),
            }
        }
        tokio::select! {
            changed = source.changed() => if changed.is_err() { return },
            () = notifier.next(), if witness.waits_for_picture() => {}
            // A steward that was away is told again, and the first look ends.
            () = tokio::time::sleep(TOLD_AGAIN) => {}
        }
    }
}

/// Why a live source is no camera, where `wanted` was asked for.
pub(super) fn no_camera(info: &SourceInfo, wanted: &Source) -> Option<String> {
    let missing = *wanted == Source::Auto && info.name == TEST_PICTURE;
    missing.then(|| if LOOKS { NO_CAMERA.into() } else { LOOKS_FOR_NONE.into() })
}

/// What can be said of the camera by what was seen of it.
struct Witness {
    /// What was asked for.
    wanted: Source,
    report: CameraReport,
    /// How many pictures there had been when the source became live.
    live_at: Option<u64>,
}

impl Witness {
    fn new(wanted: Source) -> Self {
        Self { wanted, report: CameraReport::default(), live_at: None }
    }

    /// Takes in what the source says of itself, and how many pictures have been encoded so far. A
    /// source is live as soon as its first picture was handed to the encoder, and what is published
    /// while it is not are placeholders.
    fn sees(&mut self, state: &SourceState, pictures: u64) {
        let SourceState::Live(info) = state else {
            self.live_at = None;
            match state {
                SourceState::Lost(why) => self.report.fault = Some(why.clone()),
                SourceState::Ended => self.report.fault = Some("the clip has ended".into()),
                _ => {}
            }
            return;
        };
        if self.report.name.as_ref() != Some(&info.name) {
            // A picture of another camera, or the test picture, is none of this one.
            self.report = CameraReport { name: Some(info.name.clone()), ..CameraReport::default() };
            self.live_at = None;
        }
        self.report.fault = no_camera(info, &self.wanted);
        self.report.picture |= pictures > *self.live_at.get_or_insert(pictures);
    }

    /// Whether the next picture is news.
    const fn waits_for_picture(&self) -> bool {
        self.live_at.is_some() && !self.report.picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::LibcameraSelector;
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::net::UnixListener;

    fn live(name: &str) -> SourceState {
        SourceState::Live(SourceInfo {
            name: name.into(),
            encoder: "v4l2-m2m".into(),
            width: 1280,
            height: 720,
            fps: 30.0,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_steward_that_was_away_is_told_of_the_name_that_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("steward");
        let (names, other) = watch::channel(None);
        names.send_replace(Some("porch-2".to_owned()));
        let mut telling = std::pin::pin!(report_name(StewardClient::at(&socket), other));
        // Nobody is there yet.
        assert!(tokio::time::timeout(TOLD_AGAIN / 2, telling.as_mut()).await.is_err());
        let listener = UnixListener::bind(&socket).unwrap();
        let steward = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).await.unwrap();
            line
        };
        let line = tokio::select! {
            line = steward => line,
            () = telling => panic!("it goes on"),
        };
        let told = StewardRequest::FoundAs { name: "porch-2".into() };
        assert_eq!(serde_json::from_str::<StewardRequest>(&line).unwrap(), told);
    }

    #[test]
    fn a_card_is_no_picture_of_the_camera() {
        let mut witness = Witness::new(Source::Libcamera(LibcameraSelector::First));
        let lost = SourceState::Lost("no camera".into());
        witness.sees(&lost, 0);
        witness.sees(&lost, 1);
        assert!(!witness.report.picture);
        assert_eq!(witness.report.fault.as_deref(), Some("no camera"));
        witness.sees(&live("imx708"), 1);
        assert!(!witness.report.picture && witness.waits_for_picture(), "handed to the encoder");
        witness.sees(&live("imx708"), 2);
        assert!(witness.report.picture && !witness.waits_for_picture(), "and encoded");
        assert_eq!(witness.report.name.as_deref(), Some("imx708"));
        assert_eq!(witness.report.fault, None);
        // It stays a camera that once worked.
        witness.sees(&SourceState::Lost("unplugged".into()), 2);
        assert!(witness.report.picture && witness.report.fault.is_some());
    }

    #[test]
    fn a_test_picture_nobody_asked_for_is_told_as_a_missing_camera() {
        let mut witness = Witness::new(Source::Auto);
        witness.sees(&live(TEST_PICTURE), 1);
        witness.sees(&live(TEST_PICTURE), 2);
        let expected = if LOOKS { NO_CAMERA } else { LOOKS_FOR_NONE };
        assert_eq!(witness.report.fault.as_deref(), Some(expected));
        assert!(witness.report.picture);
        // A camera has come; the state between may have passed unseen.
        witness.sees(&live("imx708"), 3);
        assert_eq!(witness.report.fault, None);
        assert!(!witness.report.picture, "what was seen was not this camera");
        witness.sees(&live("imx708"), 4);
        assert!(witness.report.picture);

        let mut witness = Witness::new(Source::Pattern);
        witness.sees(&live(TEST_PICTURE), 1);
        assert_eq!(witness.report.fault, None, "it was asked for");
    }
}
