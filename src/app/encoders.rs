//! Which encoder works, and which takes its place.
//!
//! `auto` is the hardware where there is one that is able, and says so once; else openh264, whose
//! threads follow from size and rate ([`threads_for`](crate::encoder::openh264::threads_for)) and
//! which, where that is still too much for the machine, is given fewer pictures by the pipeline.

use crate::appliance::{Board, board};
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

/// An encoder of this machine.
#[derive(Clone, Debug)]
pub(super) struct FoundEncoder {
    /// As `encoder.backend` names it.
    pub(super) backend: &'static str,
    pub(super) what: String,
    /// Largest picture.
    pub(super) most: (u32, u32),
}

/// The encoders in hardware, the first of which `auto` chooses; or why there are none.
pub(super) fn hardware_encoders() -> Result<Vec<FoundEncoder>, String> {
    hardware::list(&board())
}

/// Why there is no encoder on this board, of whose codecs each was found unfit.
#[cfg(any(feature = "v4l2", test))]
fn missing(board: &Board, unfit: &[String]) -> String {
    let chip = board.chip().unwrap_or_default();
    if chip == "BCM2712" {
        return "a Raspberry Pi 5 has no H.264 encoder".into();
    }
    let codecs = match unfit {
        [] => String::new(),
        some => format!(" ({})", some.join("; ")),
    };
    if board.is_raspberry_pi() {
        return format!(
            "this Raspberry Pi has an H.264 encoder, but Linux does not offer it{codecs}: the \
             module bcm2835-codec must be loaded, and config.txt must not say gpu_mem=16 or start_file=start_cd.elf"
        );
    }
    format!("this machine has no H.264 encoder{codecs}")
}

#[cfg(feature = "v4l2")]
mod hardware {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use super::{
        Board, CopyMeter, Encoder, EncoderError, EncoderFactory, EncoderSettings, FoundEncoder,
        Sink, board, missing, software,
    };
    use crate::encoder::v4l2_m2m::{self, CodedFormat, Node, V4l2M2m, find};

    /// A device that had to be started this often within [`PATIENCE`] is not able, whatever it
    /// says of itself.
    const CHANCES: usize = 4;
    const PATIENCE: Duration = Duration::from_secs(10);

    pub(super) fn only(copies: CopyMeter) -> EncoderFactory {
        Box::new(move |settings, sink| {
            let node = find(CodedFormat::H264).ok_or_else(|| {
                let why = none(&board());
                EncoderError::Unsupported(format!("{why}: set encoder.backend = \"auto\""))
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

    pub(super) fn list(board: &Board) -> Result<Vec<FoundEncoder>, String> {
        let found: Vec<_> = v4l2_m2m::list(CodedFormat::H264)
            .into_iter()
            .map(|node| FoundEncoder {
                backend: "v4l2-m2m",
                what: node.to_string(),
                most: node.format().max_size(),
            })
            .collect();
        if found.is_empty() { Err(none(board)) } else { Ok(found) }
    }

    /// Why no encoder was found.
    fn none(board: &Board) -> String {
        let unfit: Vec<_> =
            v4l2_m2m::unsuitable(CodedFormat::H264).iter().map(ToString::to_string).collect();
        missing(board, &unfit)
    }

    /// Hardware where there is one that is able, else software; says which once, and why.
    pub(super) fn first(copies: CopyMeter) -> EncoderFactory {
        let mut told = None;
        let mut starts = VecDeque::new();
        Box::new(move |settings, sink| {
            let (node, why) = match find(CodedFormat::H264) {
                None => (None, none(&board())),
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

    /// Whether the device was started too often lately; takes note of this start.
    fn worn_out(starts: &mut VecDeque<Instant>) -> bool {
        let now = Instant::now();
        starts.retain(|at| now.duration_since(*at) < PATIENCE);
        starts.push_back(now);
        starts.len() > CHANCES
    }
}

#[cfg(not(feature = "v4l2"))]
mod hardware {
    use super::{Board, CopyMeter, EncoderError, EncoderFactory, FoundEncoder, software};

    pub(super) fn list(_: &Board) -> Result<Vec<FoundEncoder>, String> {
        Err("this build does not look for one (feature v4l2)".into())
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn pi(chip: &str) -> Board {
        let compatible = vec!["raspberrypi,model".to_owned(), format!("brcm,{chip}")];
        Board { model: None, compatible }
    }

    #[test]
    fn the_reason_for_software_is_the_board_s_own() {
        assert_eq!(missing(&pi("bcm2712"), &[]), "a Raspberry Pi 5 has no H.264 encoder");
        let unfit = ["/dev/video10: bcm2835-codec makes NV12 of H264".to_owned()];
        let four = missing(&pi("bcm2711"), &unfit);
        assert!(four.contains("bcm2835-codec must be loaded"), "{four}");
        assert!(four.contains(&unfit[0]), "{four}");
        assert_eq!(missing(&Board::default(), &[]), "this machine has no H.264 encoder");
    }
}
