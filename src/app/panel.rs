//! The LED and the button of the housing, where there are any.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::device::no_camera;
use crate::appliance::{
    ACCESS_POINT_ADDRESS, ButtonEvent, LedAndButton, LedInputs, ReadLedInputs, StartState,
    StewardClient, StewardRequest, has_network,
};
use crate::config::{Config, Source};
use crate::events::{Event, Events, Heard, Subscription};
use crate::hub::{Hub, SourceState};

/// Shows how the cameras are doing, and hears the button.
pub(super) struct FrontPanel {
    panel: Option<LedAndButton>,
    up: Arc<AtomicBool>,
    presses: mpsc::Receiver<ButtonEvent>,
}

/// A camera that the LED speaks of.
#[derive(Clone)]
pub(super) struct ShownCamera {
    pub(super) name: Arc<str>,
    pub(super) hub: Hub,
    /// What was asked for.
    pub(super) wanted: Source,
}

impl FrontPanel {
    /// Shows from now on that Picket is starting.
    pub(super) fn start(
        config: &Config,
        cameras: Vec<ShownCamera>,
        events: &Events,
        steward: Option<&StewardClient>,
        runtime: &Handle,
    ) -> Self {
        let up = Arc::new(AtomicBool::new(false));
        let (sender, presses) = mpsc::channel(1);
        // Only the image opens a network of its own.
        let own = steward.map(|_| ACCESS_POINT_ADDRESS.0);
        let (known, source) = watch::channel(SourceState::Idle);
        let hubs: Vec<Hub> = cameras.iter().map(|camera| camera.hub.clone()).collect();
        if config.led.pin.is_some() {
            runtime.spawn(follow(events.subscribe(), cameras, known));
        }
        let look = look(hubs, source, up.clone(), own);
        let panel = LedAndButton::start(&config.led, &config.button, look, sender, runtime);
        Self { panel, up, presses }
    }

    /// Shows from now on how the cameras are doing.
    pub(super) fn ready(&self) {
        self.up.store(true, Ordering::Relaxed);
    }

    /// Waits for a press of the button; without end where there is none.
    pub(super) async fn pressed(&mut self) -> ButtonEvent {
        match self.presses.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Turns the LED off.
    pub(super) async fn stop(self) {
        if let Some(panel) = self.panel {
            panel.stop().await;
        }
    }
}

/// Keeps what the LED is to know of the sources. It looks too seldom to do so itself: a camera that
/// is switched on only to see whether it works may be off again within a look.
async fn follow(
    mut events: Subscription,
    cameras: Vec<ShownCamera>,
    known: watch::Sender<SourceState>,
) {
    let mut states = vec![SourceState::Idle; cameras.len()];
    let look = |states: &mut [SourceState]| {
        for (camera, state) in cameras.iter().zip(states) {
            note(state, camera.hub.source().borrow().clone(), &camera.wanted);
        }
    };
    look(&mut states);
    loop {
        known.send_replace(worst(&states));
        match events.next().await {
            None => return,
            Some(Heard::Missed(_)) => look(&mut states),
            Some(Heard::Event(Event::Source { camera, state })) => {
                if let Some(at) = cameras.iter().position(|known| known.name == camera) {
                    note(&mut states[at], state, &cameras[at].wanted);
                }
            }
            Some(Heard::Event(_)) => {}
        }
    }
}

/// What one LED says of several cameras: that one is lost, before that one delivers.
fn worst(states: &[SourceState]) -> SourceState {
    let rank = |state: &&SourceState| match state {
        SourceState::Lost(_) => 0,
        SourceState::Live(_) => 1,
        SourceState::Starting => 2,
        SourceState::Ended => 3,
        SourceState::Idle => 4,
    };
    states.iter().min_by_key(rank).cloned().unwrap_or_default()
}

/// Takes in what the source says of itself, where `wanted` was asked for.
fn note(known: &mut SourceState, state: SourceState, wanted: &Source) {
    match (&*known, state) {
        // A camera that did not work is none that works because it is off.
        (SourceState::Lost(_), SourceState::Idle) => {}
        (_, SourceState::Live(info)) => {
            *known = match no_camera(&info, wanted) {
                Some(why) => SourceState::Lost(why),
                None => SourceState::Live(info),
            };
        }
        (_, state) => *known = state,
    }
}

/// What the LED is to know.
fn look(
    hubs: Vec<Hub>,
    source: watch::Receiver<SourceState>,
    up: Arc<AtomicBool>,
    own_network: Option<Ipv4Addr>,
) -> ReadLedInputs {
    Box::new(move || LedInputs {
        start: if up.load(Ordering::Relaxed) { StartState::Started } else { StartState::Starting },
        source: source.borrow().clone(),
        viewers: hubs.iter().map(Hub::viewers).sum(),
        has_network: has_network(own_network),
    })
}

/// Does what a press is for, on the image. A short one is for nothing: a button is pressed by
/// accident, too.
pub(super) async fn answer(press: ButtonEvent, steward: Option<StewardClient>) {
    let request = match press {
        ButtonEvent::Short => None,
        ButtonEvent::Long5 => Some(StewardRequest::Restart),
        ButtonEvent::Long20 => Some(StewardRequest::Reset),
    };
    let (Some(request), Some(steward)) = (request, steward) else {
        log::info!("the button was {press}, which has no effect here");
        return;
    };
    log::warn!("the button was {press}");
    if let Err(error) = steward.ask(&request).await {
        log::error!("what the button is for is not done: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::first_camera::TEST_PICTURE;
    use crate::hub::SourceInfo;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;

    /// What the steward is asked by a press.
    async fn asked_by(press: ButtonEvent) -> Option<StewardRequest> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("steward");
        let listener = UnixListener::bind(&socket).unwrap();
        let steward = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            stream.write_all(b"{\"answer\":\"done\"}\n").await.unwrap();
            serde_json::from_str(&line).unwrap()
        };
        let pressed = answer(press, Some(StewardClient::at(&socket)));
        tokio::pin!(steward, pressed);
        tokio::select! {
            biased;
            request = &mut steward => {
                pressed.await;
                Some(request)
            }
            () = &mut pressed => None,
        }
    }

    fn live(name: &str) -> SourceState {
        SourceState::Live(SourceInfo {
            name: name.into(),
            encoder: "openh264".into(),
            width: 1280,
            height: 720,
            fps: 30.0,
        })
    }

    #[test]
    fn the_test_picture_is_no_camera_to_the_led_where_one_was_wanted() {
        let shown = |wanted: Source, states: &[SourceState]| {
            let mut known = SourceState::Idle;
            states.iter().for_each(|state| note(&mut known, state.clone(), &wanted));
            known
        };
        let lost = |known| matches!(known, SourceState::Lost(_));
        let (test_picture, camera) = (live(TEST_PICTURE), live("imx708"));
        assert!(lost(shown(Source::Auto, &[SourceState::Starting, test_picture.clone()])));
        assert_eq!(shown(Source::Pattern, std::slice::from_ref(&test_picture)), test_picture);
        // Nobody watches any more, and there is none for all that.
        assert!(lost(shown(Source::Auto, &[test_picture.clone(), SourceState::Idle])));
        // One has come.
        let come = [test_picture, SourceState::Idle, SourceState::Starting, camera.clone()];
        assert_eq!(shown(Source::Auto, &come), camera);
        assert_eq!(shown(Source::Auto, &[camera, SourceState::Idle]), SourceState::Idle);
    }

    #[tokio::test]
    async fn a_camera_that_is_on_for_a_moment_is_known_afterwards() {
        let events = Events::default();
        let camera =
            |name: &str, wanted| ShownCamera { name: name.into(), hub: Hub::new(), wanted };
        let cameras = vec![camera("main", Source::Auto), camera("garden", Source::Pattern)];
        let tell = |name: &str, state| events.emit(Event::Source { camera: name.into(), state });
        let (known, mut seen) = watch::channel(SourceState::Idle);
        tokio::spawn(follow(events.subscribe(), cameras, known));
        tell("main", live(TEST_PICTURE));
        seen.wait_for(|state| matches!(state, SourceState::Lost(_))).await.unwrap();
        tell("main", SourceState::Idle);
        tell("garden", live(TEST_PICTURE));
        seen.changed().await.unwrap();
        assert!(matches!(*seen.borrow(), SourceState::Lost(_)), "whatever another one does");
        tell("main", live("imx708"));
        seen.wait_for(|state| matches!(state, SourceState::Live(_))).await.unwrap();
    }

    #[tokio::test]
    async fn a_long_press_restarts_the_device_a_longer_one_resets_it_and_a_short_one_does_nothing()
    {
        assert_eq!(asked_by(ButtonEvent::Short).await, None);
        assert_eq!(asked_by(ButtonEvent::Long5).await, Some(StewardRequest::Restart));
        assert_eq!(asked_by(ButtonEvent::Long20).await, Some(StewardRequest::Reset));
    }

    #[tokio::test]
    async fn without_a_steward_a_press_has_no_effect() {
        answer(ButtonEvent::Long20, None).await;
    }
}
