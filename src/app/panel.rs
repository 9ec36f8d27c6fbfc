//! The lamp and the button of the housing, where there are any.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::device::no_camera;
use crate::appliance::{
    ButtonEvent, House, Look, OWN_NETWORK, Panel, Request, Stage, Steward, has_network,
};
use crate::config::{Config, Source};
use crate::hub::{Hub, SourceState};

/// Shows how the house is doing, and hears the button.
pub(super) struct FrontPanel {
    panel: Option<Panel>,
    up: Arc<AtomicBool>,
    presses: mpsc::Receiver<ButtonEvent>,
}

impl FrontPanel {
    /// Shows from now on that Picket is starting.
    pub(super) fn start(
        config: &Config,
        hub: Hub,
        steward: Option<&Steward>,
        runtime: &Handle,
    ) -> Self {
        let up = Arc::new(AtomicBool::new(false));
        let (sender, presses) = mpsc::channel(1);
        // Only the image opens a network of its own.
        let own = steward.map(|_| OWN_NETWORK.0);
        let (known, source) = watch::channel(SourceState::Idle);
        if config.led.pin.is_some() {
            runtime.spawn(follow(hub.source(), config.camera.source.clone(), known));
        }
        let look = look(hub, source, up.clone(), own);
        let panel = Panel::start(&config.led, &config.button, look, sender, runtime);
        Self { panel, up, presses }
    }

    /// Shows from now on how the house is doing.
    pub(super) fn ready(&self) {
        self.up.store(true, Ordering::Relaxed);
    }

    /// Waits for a press of the button: for ever, where there is none.
    pub(super) async fn pressed(&mut self) -> ButtonEvent {
        match self.presses.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Puts the lamp out.
    pub(super) async fn stop(self) {
        if let Some(panel) = self.panel {
            panel.stop().await;
        }
    }
}

/// Keeps what the lamp is to know of the source. It looks too seldom to do so itself: a camera that
/// is switched on only to see whether it works may be off again within a look.
async fn follow(
    mut source: watch::Receiver<SourceState>,
    wanted: Source,
    known: watch::Sender<SourceState>,
) {
    loop {
        let state = source.borrow_and_update().clone();
        known.send_modify(|known| note(known, state, &wanted));
        if source.changed().await.is_err() {
            return;
        }
    }
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

/// What the lamp is to know of the house.
fn look(
    hub: Hub,
    source: watch::Receiver<SourceState>,
    up: Arc<AtomicBool>,
    own_network: Option<Ipv4Addr>,
) -> Look {
    Box::new(move || House {
        stage: if up.load(Ordering::Relaxed) { Stage::Up } else { Stage::Starting },
        source: source.borrow().clone(),
        viewers: hub.viewers(),
        has_network: has_network(own_network),
    })
}

/// Does what a press is for, on the image. A short one is for nothing: a button is pressed by
/// accident, too.
pub(super) async fn answer(press: ButtonEvent, steward: Option<Steward>) {
    let request = match press {
        ButtonEvent::Short => None,
        ButtonEvent::Long5 => Some(Request::Restart),
        ButtonEvent::Long20 => Some(Request::Reset),
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
    async fn asked_by(press: ButtonEvent) -> Option<Request> {
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
        let pressed = answer(press, Some(Steward::at(&socket)));
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
    fn the_test_picture_is_no_camera_to_the_lamp_where_one_was_wanted() {
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
        let hub = Hub::new();
        let (known, mut seen) = watch::channel(SourceState::Idle);
        tokio::spawn(follow(hub.source(), Source::Auto, known));
        hub.set_source(live(TEST_PICTURE));
        seen.wait_for(|state| matches!(state, SourceState::Lost(_))).await.unwrap();
        hub.set_source(SourceState::Idle);
        seen.changed().await.unwrap();
        assert!(matches!(*seen.borrow(), SourceState::Lost(_)));
    }

    #[tokio::test]
    async fn a_long_press_restarts_the_device_a_longer_one_resets_it_and_a_short_one_does_nothing()
    {
        assert_eq!(asked_by(ButtonEvent::Short).await, None);
        assert_eq!(asked_by(ButtonEvent::Long5).await, Some(Request::Restart));
        assert_eq!(asked_by(ButtonEvent::Long20).await, Some(Request::Reset));
    }

    #[tokio::test]
    async fn without_a_steward_a_press_has_no_effect() {
        answer(ButtonEvent::Long20, None).await;
    }
}
