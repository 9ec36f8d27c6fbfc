//! What is asked of the device beyond sizes. Every one of these may be missing from a driver, and
//! none is worth failing for.

use v4l::v4l_sys as sys;

use super::node::CodedFormat;
use crate::encoder::EncoderSettings;
use crate::media::h264::level_for;
use crate::v4l2::{ControlInfo, Device, Queue};

const BITRATE: u32 = sys::V4L2_CID_MPEG_VIDEO_BITRATE;
const FORCE_KEY_FRAME: u32 = sys::V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME;

/// Sets everything up, before streaming starts: the Pi's driver ignores headers on repeat
/// afterwards (raspberrypi/linux#2780).
pub(super) fn apply(device: &Device, format: CodedFormat, settings: &EncoderSettings) {
    let EncoderSettings { width, height, fps, bitrate_bps, keyframe_interval } = *settings;
    if let Err(error) = device.set_frame_rate(Queue::OutputMplane, fps.max(1.0)) {
        log::debug!("the encoder takes no frame rate: {error}");
    }
    if format != CodedFormat::H264 {
        return;
    }
    // A period of 1 hangs the Pi's encoder (raspberrypi/linux#4740).
    let period = (keyframe_interval.as_secs_f64() * fps).round().clamp(2.0, 32_000.0) as i32;
    let level = level_menu_entry(level_for(width, height, fps));
    let constrained_baseline =
        sys::v4l2_mpeg_video_h264_profile_V4L2_MPEG_VIDEO_H264_PROFILE_CONSTRAINED_BASELINE;
    let variable = sys::v4l2_mpeg_video_bitrate_mode_V4L2_MPEG_VIDEO_BITRATE_MODE_VBR;
    for (name, id, value) in [
        ("profile", sys::V4L2_CID_MPEG_VIDEO_H264_PROFILE, constrained_baseline as i32),
        ("level", sys::V4L2_CID_MPEG_VIDEO_H264_LEVEL, level),
        ("rate control", sys::V4L2_CID_MPEG_VIDEO_BITRATE_MODE, variable as i32),
        ("repeated headers", sys::V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER, 1),
        ("key-frame interval", sys::V4L2_CID_MPEG_VIDEO_H264_I_PERIOD, period),
    ] {
        if let Err(error) = device.set_control(id, value) {
            log::debug!("the encoder does not take a {name} of {value}: {error}");
        }
    }
    match set_bitrate(device, bitrate_bps) {
        Some(set) if set != bitrate_bps => {
            log::debug!("the encoder rounds the rate to {set} bit/s")
        }
        Some(_) => {}
        None => log::debug!("the encoder takes no bit rate"),
    }
}

/// Sets the bit rate, rounded to what the driver can; `None` when it cannot at all.
pub(super) fn set_bitrate(device: &Device, bitrate_bps: u32) -> Option<u32> {
    let control = device.control(BITRATE)?;
    let rounded = nearest(&control, i64::from(bitrate_bps));
    let value = i32::try_from(rounded).ok()?;
    device.set_control(BITRATE, value).ok()?;
    u32::try_from(rounded).ok()
}

/// The value nearest to `wanted` that a control can have.
fn nearest(control: &ControlInfo, wanted: i64) -> i64 {
    let step = i64::try_from(control.step).unwrap_or(1).max(1);
    let (min, max) = (control.min, control.max.max(control.min));
    let steps = (wanted.clamp(min, max) - min + step / 2) / step;
    (min + steps * step).min(max)
}

/// Whether the next picture can be made a key frame.
pub(super) fn can_force_key_frame(device: &Device) -> bool {
    device.control(FORCE_KEY_FRAME).is_some()
}

pub(super) fn force_key_frame(device: &Device) -> std::io::Result<()> {
    device.set_control(FORCE_KEY_FRAME, 1)
}

/// A level as an entry of the driver's menu.
fn level_menu_entry(level_idc: u8) -> i32 {
    // The menu lists 1b between 1.0 and 1.1 (V4L2_MPEG_VIDEO_H264_LEVEL_1B is 1).
    const MENU: [u8; 16] = [10, 0, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51];
    let entry = MENU.iter().position(|l| *l == level_idc).unwrap_or(MENU.len() - 1);
    entry as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_kernel_s_menu_entries() {
        assert_eq!(
            level_menu_entry(31),
            sys::v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_3_1 as i32
        );
        assert_eq!(
            level_menu_entry(40),
            sys::v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_4_0 as i32
        );
        assert_eq!(
            level_menu_entry(11),
            sys::v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_1_1 as i32
        );
    }

    #[test]
    fn a_rate_is_rounded_to_the_driver_s_step_and_kept_in_its_bounds() {
        let pi = ControlInfo {
            id: BITRATE,
            name: "Video Bitrate".into(),
            min: 25_000,
            max: 25_000_000,
            step: 25_000,
            default: 10_000_000,
        };
        assert_eq!(nearest(&pi, 2_000_000), 2_000_000);
        assert_eq!(nearest(&pi, 2_012_000), 2_000_000);
        assert_eq!(nearest(&pi, 2_013_000), 2_025_000);
        assert_eq!(nearest(&pi, 1), 25_000);
        assert_eq!(nearest(&pi, 50_000_000), 25_000_000);
        let impossible = ControlInfo { min: 5, max: -5, step: 0, ..pi };
        assert_eq!(nearest(&impossible, 100), 5);
    }
}
