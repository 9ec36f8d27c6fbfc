//! An encode of the picture: a layer, and the encoder that makes it while somebody needs it.

use std::sync::Arc;

use super::counters::Counters;
use super::in_flight::{InFlight, sink};
use super::settings::{EncoderFactory, OutputSettings};
use crate::encoder::{Encoder, EncoderError, EncoderSettings, FrameType};
use crate::hub::{Hub, KeyFrames, Layer, TrackId};
use crate::media::{Frame, MediaTime, PixelFormat};
use crate::transform::{FrameResizer, fit_within};

/// One layer and its encoder.
pub(super) struct Output {
    settings: OutputSettings,
    resizer: FrameResizer,
    active: Option<Active>,
}

/// An encoder at work.
struct Active {
    encoder: Box<dyn Encoder>,
    settings: EncoderSettings,
    in_flight: Arc<InFlight>,
}

/// What an encoder is made with.
pub(super) struct EncoderParts<'a> {
    pub(super) factory: &'a mut EncoderFactory,
    pub(super) hub: &'a Hub,
    pub(super) counters: &'a Arc<Counters>,
    /// Pictures a second that will come.
    pub(super) fps: f64,
    pub(super) keyframe_interval: std::time::Duration,
}

impl Output {
    pub(super) fn new(settings: OutputSettings) -> Self {
        Self { settings, resizer: FrameResizer::default(), active: None }
    }

    pub(super) fn layer(&self) -> Layer {
        self.settings.layer
    }

    fn track(&self) -> TrackId {
        TrackId::Video(self.settings.layer)
    }

    /// Whether its encoder is to run: the main layer's whenever there are frames, because stills and
    /// late viewers need it, and another one's while somebody follows it.
    pub(super) fn is_wanted(&self, hub: &Hub) -> bool {
        self.settings.layer == Layer::Main || hub.is_wanted(self.track())
    }

    /// The size that a frame of `size` is coded with.
    pub(super) fn coded_size(&self, size: (u32, u32)) -> (u32, u32) {
        self.settings.within.map_or(size, |within| fit_within(size, within))
    }

    /// The size it codes now, if it does.
    pub(super) fn active_size(&self) -> Option<(u32, u32)> {
        self.active.as_ref().map(|a| (a.settings.width, a.settings.height))
    }

    /// What the encoder is called, while there is one.
    pub(super) fn encoder_name(&self) -> Option<&'static str> {
        self.active.as_ref().map(|active| active.encoder.name())
    }

    /// The formats it takes as they are.
    pub(super) fn formats(&self) -> &'static [PixelFormat] {
        self.active.as_ref().map_or(&[], |active| active.encoder.formats())
    }

    /// Whether encoding takes this thread's time.
    pub(super) fn is_synchronous(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.encoder.is_synchronous())
    }

    /// Ends the encoder.
    pub(super) fn stop(&mut self) {
        self.active = None;
    }

    /// Takes other settings. An encoder that cannot follow is ended, to be made again.
    pub(super) fn set(&mut self, settings: OutputSettings) {
        self.settings = settings;
        let Some(Active { encoder, settings: active, .. }) = &mut self.active else { return };
        if active.bitrate_bps == settings.bitrate_bps {
            return;
        }
        match encoder.set_bitrate(settings.bitrate_bps) {
            Ok(set) => {
                active.bitrate_bps = settings.bitrate_bps;
                log::info!("bit rate is now {} kbit/s", set / 1000);
            }
            Err(EncoderError::Unsupported(why)) => log::warn!("the bit rate stays: {why}"),
            Err(error) => {
                log::warn!("{error}; starting the encoder again");
                self.active = None;
            }
        }
    }

    /// Says how many pictures a second come from now on.
    pub(super) fn set_fps(&mut self, fps: f64) {
        let Some(Active { encoder, settings, .. }) = &mut self.active else { return };
        settings.fps = fps;
        if let Err(error) = encoder.set_fps(fps) {
            log::warn!("{error}; starting the encoder again");
            self.active = None;
        }
    }

    /// Has an encoder running for frames of `size`. A new one begins another stream.
    ///
    /// # Errors
    /// When there is none for that.
    pub(super) fn ensure(
        &mut self,
        size: (u32, u32),
        parts: EncoderParts<'_>,
    ) -> Result<(), EncoderError> {
        let (width, height) = self.coded_size(size);
        if self.active_size() == Some((width, height)) {
            return Ok(());
        }
        let EncoderParts { factory, hub, counters, fps, keyframe_interval } = parts;
        let settings = EncoderSettings {
            width,
            height,
            fps,
            bitrate_bps: self.settings.bitrate_bps,
            keyframe_interval,
        };
        hub.restart_layer(self.settings.layer, KeyFrames::OnDemand);
        let in_flight = Arc::new(InFlight::default());
        let sink = sink(&in_flight, hub, self.track(), counters);
        // The old one is over before the new one begins: a device may have room for one.
        self.active = None;
        let encoder = factory(settings, sink)?;
        self.active = Some(Active { encoder, settings, in_flight });
        Ok(())
    }

    /// Encodes a frame, at `now`; [`Output::ensure`] comes before.
    ///
    /// # Errors
    /// When the encoder is broken, or the frame cannot be brought to its size.
    pub(super) fn encode(
        &mut self,
        frame: &Frame,
        hub: &Hub,
        now: MediaTime,
    ) -> Result<(), EncoderError> {
        let Some(Active { encoder, settings, in_flight }) = &mut self.active else {
            return Ok(());
        };
        let size = (settings.width, settings.height);
        let resized = match (frame.width(), frame.height()) == size {
            true => None,
            false => {
                let resized = self.resizer.resize(frame.clone(), size);
                Some(resized.map_err(|error| EncoderError::Failed(error.to_string()))?)
            }
        };
        let frame = resized.as_ref().unwrap_or(frame);
        let kind = match hub.take_key_frame_request(self.settings.layer) {
            true => FrameType::Key,
            false => FrameType::Any,
        };
        in_flight.begin(frame.time(), now);
        encoder.encode(frame, kind)
    }
}
