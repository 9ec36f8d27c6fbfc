//! What the engine keeps for each camera.

use std::sync::Arc;

use crate::hub::{Hub, Layer, Published, SourceState};
use crate::media::h264::{NalType, ProfileLevel};
use crate::media::{Delays, MediaTime};
use crate::rtp::Packetizer;
use crate::webrtc::command::OfferError;
use crate::webrtc::counts::CameraCounts;
use crate::webrtc::settings::WatchedCamera;
use crate::webrtc::waiting::Waiting;

/// A camera, as its viewers see it.
pub(super) struct CameraStream {
    pub(super) name: Arc<str>,
    pub(super) hub: Hub,
    /// What it is expected to send, where no picture has shown it yet.
    pub(super) expected_profile: ProfileLevel,
    pub(super) packetizer: Packetizer,
    /// Offers that are not answered yet.
    pub(super) waiting: Waiting,
    pub(super) counts: Arc<CameraCounts>,
    /// How many samples had been published when viewers were served last.
    served: u64,
    /// From the hub to the kernel.
    delays: Arc<Delays>,
    /// When the newest picture in `delays` entered the hub.
    timed: Option<MediaTime>,
    /// The stream that sessions were last found to suit.
    suited: Option<ProfileLevel>,
}

impl CameraStream {
    pub(super) fn new(camera: WatchedCamera, counts: Arc<CameraCounts>) -> Self {
        let WatchedCamera { name, hub, expected_profile } = camera;
        Self {
            name,
            hub,
            expected_profile,
            packetizer: Packetizer::default(),
            waiting: Waiting::default(),
            delays: counts.delays.clone(),
            counts,
            served: 0,
            timed: None,
            suited: None,
        }
    }

    /// Whether something was published since this was last asked.
    pub(super) fn has_news(&mut self) -> bool {
        let published = self.hub.published();
        std::mem::replace(&mut self.served, published) != published
    }

    /// Takes note of how long the newest picture took to be sent to everybody.
    pub(super) fn time_newest(&mut self) {
        let Some(picture) = self.packetizer.newest() else { return };
        if self.timed.replace(picture.at) != Some(picture.at) {
            self.delays.note(MediaTime::now().since(picture.at));
        }
    }

    /// What the stream is, by its newest key frame.
    pub(super) fn profile(&self) -> Option<ProfileLevel> {
        self.hub.newest_key_frame(Layer::Main).as_deref().and_then(profile_of)
    }

    /// What the stream is, if it is another than when this was last asked.
    pub(super) fn new_profile(&mut self) -> Option<ProfileLevel> {
        let profile = self.profile().filter(|profile| self.suited != Some(*profile));
        self.suited = profile.or(self.suited);
        profile
    }

    pub(super) fn something_to_see(&self, infinite_frames: bool) -> Result<(), OfferError> {
        match &*self.hub.source().borrow() {
            SourceState::Ended => Err(OfferError::NoSource("the source has ended".into())),
            // Where the stream goes on without it, there is a placeholder to see.
            SourceState::Lost(why) if !infinite_frames => Err(OfferError::NoSource(why.clone())),
            _ => Ok(()),
        }
    }
}

/// What the SPS in a key frame says of the stream.
fn profile_of(picture: &Published) -> Option<ProfileLevel> {
    let sps = picture.sample.video()?.nals().find(|nal| NalType::of(nal) == NalType::Sps)?;
    match *sps {
        [_, profile_idc, constraints, level_idc, ..] => {
            Some(ProfileLevel { profile_idc, constraints, level_idc })
        }
        _ => None,
    }
}
