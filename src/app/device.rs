//! What the daemon has to do with the device it runs on: it tells the steward how the camera is,
//! has it keep the password, looks for updates, and answers for the device's name.

use std::time::Duration;

use tokio::runtime::Handle;

use super::first_camera::TEST_PICTURE;
use crate::appliance::{Announcement, CameraReport, Device, Request, Steward};
use crate::config::{Config, PasswordHash, Source};
use crate::http::PasswordStore;
use crate::hub::{Hub, Layer, SourceState};

/// How long the camera is kept on after the start, if no picture comes from it. A system that was
/// just installed is judged by it.
const FIRST_LOOK: Duration = Duration::from_secs(3 * 60);

/// What the owner is told while the test picture stands in for a camera.
const NO_CAMERA: &str =
    "none was found, so the test picture is shown; if there is one, check its cable";

/// Keeps a password set on the page on the card, by way of the steward.
pub(super) struct OnTheCard(pub(super) Steward);

impl PasswordStore for OnTheCard {
    fn store(&self, hash: &PasswordHash) -> Result<(), String> {
        let hash = hash.expose().to_owned();
        let kept = self.0.ask_blocking(&Request::KeepPassword { hash });
        kept.map(drop).map_err(|e| e.to_string())
    }
}

/// The device as its owner's page has it. From now on it looks for updates.
pub(super) fn look_after(steward: Steward, config: &Config, hub: Hub, runtime: &Handle) -> Device {
    let device = Device::new(steward, config.update.clone());
    runtime.spawn(device.updates().clone().run(move || hub.viewers() > 0));
    device
}

/// Answers for the device's name, as long as the result lives.
pub(super) fn announce(config: &Config) -> Option<Announcement> {
    let name = config.device.hostname.as_str();
    Announcement::start(name, config.http.listen.port())
        .map_err(|error| log::warn!("the device is not found as {name}.local: {error}"))
        .ok()
}

/// Tells the steward how the camera is. To know it, the camera is switched on at the start, until
/// a picture has come from it.
pub(super) async fn report(steward: Steward, wanted: Source, hub: Hub) {
    let mut look = Some(hub.join(Layer::Main));
    let until = tokio::time::Instant::now() + FIRST_LOOK;
    let (mut source, mut arrivals) = (hub.source(), hub.arrivals());
    let (mut told, mut live_at) = (None, None);
    let mut report = CameraReport::default();
    loop {
        let state = source.borrow_and_update().clone();
        note(&mut report, &state, &wanted);
        watch_for_picture(&mut report, &mut live_at, &hub);
        if report.picture || tokio::time::Instant::now() >= until {
            drop(look.take());
        }
        if told.as_ref() != Some(&report) {
            match steward.ask(&Request::Report(report.clone())).await {
                Ok(_) => told = Some(report.clone()),
                Err(error) => log::debug!("the steward was not told of the camera: {error}"),
            }
        }
        tokio::select! {
            changed = source.changed() => if changed.is_err() { return },
            () = arrivals.next(), if live_at.is_some() && !report.picture => {}
            // A steward that was away is told again, and the first look ends.
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
    }
}

/// Notes when a picture has been encoded. A source is live as soon as its first picture was handed
/// to the encoder, and what is published while it is not are cards.
fn watch_for_picture(report: &mut CameraReport, live_at: &mut Option<u64>, hub: &Hub) {
    if !matches!(*hub.source().borrow(), SourceState::Live(_)) {
        *live_at = None;
        return;
    }
    let pictures = hub.totals(Layer::Main).pictures;
    report.picture |= pictures > *live_at.get_or_insert(pictures);
}

/// Takes into the report what the source says of itself, where `wanted` was asked for.
fn note(report: &mut CameraReport, state: &SourceState, wanted: &Source) {
    match state {
        SourceState::Live(info) => {
            report.name = Some(info.name.clone());
            let missing = *wanted == Source::Auto && info.name == TEST_PICTURE;
            report.fault = missing.then(|| NO_CAMERA.into());
        }
        SourceState::Lost(why) => report.fault = Some(why.clone()),
        SourceState::Ended => report.fault = Some("the clip has ended".into()),
        SourceState::Idle | SourceState::Starting => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::SourceInfo;
    use crate::media::h264::ParameterSets;
    use crate::media::{AccessUnit, MediaTime};
    use bytes::Bytes;

    fn live() -> SourceState {
        SourceState::Live(SourceInfo {
            name: "imx708".into(),
            encoder: "v4l2-m2m".into(),
            width: 1280,
            height: 720,
            fps: 30.0,
        })
    }

    fn card() -> AccessUnit {
        let slice = Bytes::from_static(&[0, 0, 0, 1, 0x41, 0x9a]);
        AccessUnit::from_annex_b(slice, MediaTime::now(), &mut ParameterSets::default()).unwrap()
    }

    #[test]
    fn a_card_is_no_picture_of_the_camera() {
        let hub = Hub::new();
        let (mut report, mut live_at) = (CameraReport::default(), None);
        let mut look = |report: &mut CameraReport, state: SourceState| {
            hub.set_source(state.clone());
            note(report, &state, &Source::Auto);
            watch_for_picture(report, &mut live_at, &hub);
            report.picture
        };
        assert!(!look(&mut report, SourceState::Lost("no camera".into())));
        hub.publish(Layer::Main, card());
        assert!(!look(&mut report, SourceState::Lost("no camera".into())));
        assert_eq!(report.fault.as_deref(), Some("no camera"));
        assert!(!look(&mut report, live()), "handed to the encoder");
        hub.publish(Layer::Main, card());
        assert!(look(&mut report, live()), "and encoded");
        assert_eq!(report.name.as_deref(), Some("imx708"));
        assert_eq!(report.fault, None);
        // It stays a camera that once worked.
        assert!(look(&mut report, SourceState::Lost("unplugged".into())));
        assert!(report.fault.is_some());
    }

    #[test]
    fn a_test_picture_nobody_asked_for_is_told_as_a_missing_camera() {
        let test_picture = SourceState::Live(SourceInfo {
            name: TEST_PICTURE.into(),
            encoder: "openh264".into(),
            width: 1280,
            height: 720,
            fps: 30.0,
        });
        let mut report = CameraReport::default();
        note(&mut report, &test_picture, &Source::Auto);
        assert_eq!(report.fault.as_deref(), Some(NO_CAMERA));
        note(&mut report, &test_picture, &Source::Pattern);
        assert_eq!(report.fault, None, "it was asked for");
        note(&mut report, &live(), &Source::Auto);
        assert_eq!(report.fault, None, "a camera has come");
    }
}
