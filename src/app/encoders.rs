//! Which encoder works, and which takes its place.

use crate::config::Backend;
use crate::encoder::openh264::OpenH264;
use crate::encoder::{Encoder, EncoderError, EncoderSettings, Sink};
use crate::pipeline::EncoderFactory;
use crate::transform::CopyMeter;

/// Makes encoders as `backend` says. `copies` counts the bytes of picture that they have to copy.
pub(super) fn factory(backend: Backend, copies: CopyMeter) -> EncoderFactory {
    match backend {
        Backend::OpenH264 => Box::new(software),
        Backend::V4l2M2m => hardware::only(copies),
        Backend::Auto => hardware::first(copies),
    }
}

fn software(settings: EncoderSettings, sink: Sink) -> Result<Box<dyn Encoder>, EncoderError> {
    Ok(Box::new(OpenH264::new(settings, sink)?))
}

#[cfg(feature = "v4l2")]
mod hardware {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use super::{
        CopyMeter, Encoder, EncoderError, EncoderFactory, EncoderSettings, Sink, software,
    };
    use crate::encoder::v4l2_m2m::{Coding, Node, V4l2M2m, find};

    /// A device that had to be started this often within [`PATIENCE`] is not able, whatever it
    /// says of itself.
    const CHANCES: usize = 4;
    const PATIENCE: Duration = Duration::from_secs(10);

    pub(super) fn only(copies: CopyMeter) -> EncoderFactory {
        Box::new(move |settings, sink| {
            let node = find(Coding::H264).ok_or_else(|| {
                EncoderError::Unsupported(
                    "there is no V4L2 H.264 encoder here: set encoder.backend = \"auto\"".into(),
                )
            })?;
            on(node, settings, sink, &copies)
        })
    }

    fn on(
        node: Node,
        settings: EncoderSettings,
        sink: Sink,
        copies: &CopyMeter,
    ) -> Result<Box<dyn Encoder>, EncoderError> {
        Ok(Box::new(V4l2M2m::new(node, settings, sink, copies.clone())?))
    }

    /// Hardware where there is one that is able, else software; says which once, and why.
    pub(super) fn first(copies: CopyMeter) -> EncoderFactory {
        let mut told = None;
        let mut starts = VecDeque::new();
        Box::new(move |settings, sink| {
            let (node, why) = match find(Coding::H264) {
                None => (None, "this device has no H.264 encoder".to_owned()),
                Some(node) if !node.fits(&settings) => {
                    let EncoderSettings { width, height, .. } = settings;
                    (None, format!("{node} does not code {width}×{height}"))
                }
                Some(node) if worn_out(&mut starts) => {
                    (None, format!("{node} failed {CHANCES} times within {PATIENCE:?}"))
                }
                Some(node) => (Some(node), String::new()),
            };
            let line = match &node {
                Some(node) => format!("encoding in hardware, on {node}"),
                None => format!("encoding in software with openh264: {why}"),
            };
            if told.as_ref() != Some(&line) {
                log::info!("{line}");
                told = Some(line);
            }
            match node {
                Some(node) => on(node, settings, sink, &copies),
                None => software(settings, sink),
            }
        })
    }

    /// Whether the device was started too often of late; takes note of this start.
    fn worn_out(starts: &mut VecDeque<Instant>) -> bool {
        let now = Instant::now();
        starts.retain(|at| now.duration_since(*at) < PATIENCE);
        starts.push_back(now);
        starts.len() > CHANCES
    }
}

#[cfg(not(feature = "v4l2"))]
mod hardware {
    use super::{CopyMeter, EncoderError, EncoderFactory, software};

    pub(super) fn only(_: CopyMeter) -> EncoderFactory {
        Box::new(|_, _| {
            Err(EncoderError::Unsupported(
                "this build has no V4L2 encoder (feature v4l2): set encoder.backend = \"auto\""
                    .into(),
            ))
        })
    }

    pub(super) fn first(_: CopyMeter) -> EncoderFactory {
        Box::new(software)
    }
}
