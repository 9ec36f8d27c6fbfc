//! `picket probe`: what this machine has, and what Picket would use.

use std::fmt;

use serde_json::{Value, json};

use super::encoders::{FoundEncoder, hardware_encoders};
use crate::appliance::{Board, GpioError, GpioHeader, GpioPin, board, gpio_header};
use crate::camera::{CameraInfo, ControlRange, ControlValue, Location, ModeInfo};
use crate::encoder::openh264::{cores, threads_for};

/// What was found.
#[derive(Clone, Debug)]
pub struct Probe {
    board: Board,
    cores: usize,
    cameras: Vec<CameraInfo>,
    /// Why some cameras may be missing from the list.
    blind: Vec<&'static str>,
    /// Those in hardware first.
    encoders: Vec<FoundEncoder>,
    /// Why there is none in hardware, if that is so.
    no_hardware: Option<String>,
    header: Result<GpioHeader, GpioError>,
}

/// What `auto` chooses, and why.
struct Choice<'a> {
    what: &'a str,
    why: String,
}

/// Pictures whose cost in software is told: what Picket asks a camera for, and the largest that is
/// common.
const EXAMPLES: [(u32, u32, f64); 2] = [(1280, 720, 30.0), (1920, 1080, 30.0)];

/// Looks at what this machine has. Opens devices for a moment, and changes nothing.
#[must_use]
pub fn probe() -> Probe {
    let (mut encoders, no_hardware) = match hardware_encoders() {
        Ok(found) => (found, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    encoders.push(FoundEncoder {
        backend: "openh264",
        what: "in software".into(),
        most: (3840, 2160),
    });
    Probe {
        board: board(),
        cores: cores(),
        cameras: cameras(),
        blind: blind(),
        encoders,
        no_hardware,
        header: gpio_header(),
    }
}

/// The cameras there are.
fn cameras() -> Vec<CameraInfo> {
    let found: Vec<Vec<CameraInfo>> = vec![
        #[cfg(feature = "libcamera")]
        crate::camera::libcamera::list().unwrap_or_else(|error| {
            log::warn!("libcamera: {error}");
            Vec::new()
        }),
        #[cfg(feature = "v4l2")]
        crate::camera::v4l2::list(),
    ];
    found.concat()
}

/// The cameras that this build would not see.
fn blind() -> Vec<&'static str> {
    vec![
        #[cfg(not(feature = "libcamera"))]
        "this build does not look for Pi cameras (feature libcamera)",
        #[cfg(not(feature = "v4l2"))]
        "this build does not look for USB cameras (feature v4l2)",
    ]
}

impl Probe {
    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let encoder = |e: &FoundEncoder| {
            json!({
                "backend": e.backend, "what": e.what,
                "maxWidth": e.most.0, "maxHeight": e.most.1,
            })
        };
        let (camera, chosen) = (self.camera(), self.encoder());
        json!({
            "board": {
                "model": self.board.model, "chip": self.board.chip(), "cores": self.cores,
                "raspberryPi": self.board.is_raspberry_pi(),
            },
            "cameras": self.cameras.iter().map(camera_json).collect::<Vec<_>>(),
            "notLookedFor": self.blind,
            "encoders": self.encoders.iter().map(encoder).collect::<Vec<_>>(),
            "software": self.software().map(|(width, height, fps, threads)| json!({
                "width": width, "height": height, "fps": fps, "threads": threads,
            })).collect::<Vec<_>>(),
            "gpio": self.gpio_json(),
            "auto": {
                "camera": camera.what, "cameraBecause": camera.why,
                "encoder": chosen.what, "encoderBecause": chosen.why,
            },
        })
    }

    fn gpio_json(&self) -> Value {
        match &self.header {
            Err(why) => json!({ "usable": false, "because": why.to_string() }),
            Ok(GpioHeader { chip, pins, unusable }) => {
                let pin = |pin: &GpioPin| json!({ "pin": pin.number, "name": pin.name, "usedBy": pin.user });
                json!({
                    "usable": unusable.is_none(),
                    "because": unusable.as_ref().map(ToString::to_string),
                    "chip": chip,
                    "pins": pins.iter().map(pin).collect::<Vec<_>>(),
                })
            }
        }
    }

    /// The camera that `auto` chooses: built-in ones come before those on USB, which V4L2 gets
    /// more out of than libcamera.
    fn camera(&self) -> Choice<'_> {
        let by = |driver: &str| {
            self.cameras.iter().find(|found| {
                found.source.starts_with(driver) && found.location != Some(Location::External)
            })
        };
        match (by("libcamera:"), by("v4l2:")) {
            (Some(found), _) => {
                Choice { what: &found.source, why: "the first camera that is built in".into() }
            }
            (None, Some(found)) => {
                Choice { what: &found.source, why: "the first USB camera".into() }
            }
            (None, None) => Choice { what: "pattern", why: "no camera was found".into() },
        }
    }

    /// The encoder that `auto` chooses.
    fn encoder(&self) -> Choice<'_> {
        match (self.encoders.first(), &self.no_hardware) {
            (Some(found), None) => {
                Choice { what: found.backend, why: format!("{} codes H.264", found.what) }
            }
            (_, Some(why)) => Choice { what: "openh264", why: why.clone() },
            (None, None) => Choice { what: "openh264", why: String::new() },
        }
    }

    /// Threads that openh264 takes for each of [`EXAMPLES`] here.
    fn software(&self) -> impl Iterator<Item = (u32, u32, f64, u16)> {
        EXAMPLES.into_iter().map(|(width, height, fps)| {
            (width, height, fps, threads_for(width, height, fps, self.cores))
        })
    }
}

fn camera_json(found: &CameraInfo) -> Value {
    let mode = |m: &ModeInfo| json!({ "format": m.format, "width": m.width, "height": m.height, "maxFps": m.max_fps });
    let controls = found.controls.iter().map(|control| {
        let default = control.default.as_ref().map(|value| match value {
            ControlValue::Number(n) => json!(n),
            ControlValue::Word(word) => json!(word),
            ControlValue::Numbers(numbers) => json!(numbers),
        });
        json!({
            "name": control.name, "range": control.range.to_string(), "default": default,
        })
    });
    json!({
        "source": found.source,
        "id": found.id,
        "model": found.model,
        "location": found.location.map(place),
        "modes": found.modes.iter().map(mode).collect::<Vec<_>>(),
        "controls": controls.collect::<Vec<_>>(),
    })
}

const fn place(location: Location) -> &'static str {
    match location {
        #[cfg(feature = "libcamera")]
        Location::Front => "front",
        #[cfg(any(feature = "libcamera", test))]
        Location::Back => "back",
        Location::External => "external",
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chip = self.board.chip().map_or_else(String::new, |chip| format!(" ({chip})"));
        let cores = match self.cores {
            1 => "1 core".to_owned(),
            n => format!("{n} cores"),
        };
        let model = self.board.model.as_deref().unwrap_or("no name");
        writeln!(f, "Board\n  {model}{chip}, {cores}")?;
        writeln!(f, "\nCameras")?;
        if self.cameras.is_empty() {
            writeln!(f, "  none")?;
        }
        for found in &self.cameras {
            writeln!(f, "  {}  {} ({})", found.source, found.model, found.id)?;
            for (format, sizes) in by_format(&found.modes) {
                writeln!(f, "    {format}: {}", sizes.join(", "))?;
            }
            for control in &found.controls {
                writeln!(f, "    {} = {}{}", control.name, control.range, default(control))?;
            }
        }
        for line in &self.blind {
            writeln!(f, "  ({line})")?;
        }
        writeln!(f, "\nEncoders")?;
        for FoundEncoder { backend, what, most: (width, height) } in &self.encoders {
            writeln!(f, "  {backend}  {what}, up to {width}×{height}")?;
        }
        for (width, height, fps, threads) in self.software() {
            let threads = match threads {
                1 => "1 thread".to_owned(),
                n => format!("{n} threads"),
            };
            writeln!(f, "    {width}×{height} at {fps:.0}: {threads}")?;
        }
        writeln!(f, "\nGPIO")?;
        self.write_gpio(f)?;
        writeln!(f, "\n`auto` chooses")?;
        let (camera, encoder) = (self.camera(), self.encoder());
        writeln!(f, "  camera.source = \"{}\": {}", camera.what, camera.why)?;
        writeln!(f, "  encoder.backend = \"{}\": {}", encoder.what, encoder.why)
    }
}

impl Probe {
    fn write_gpio(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GpioHeader { chip, pins, unusable } = match &self.header {
            Ok(header) => header,
            Err(why) => return writeln!(f, "  none: {why}"),
        };
        writeln!(f, "  {chip}, by the numbers that led.pin and button.pin take")?;
        let free: Vec<String> = pins
            .iter()
            .filter(|pin| pin.user.is_none())
            .map(|pin| pin.number.to_string())
            .collect();
        writeln!(f, "    free: {}", free.join(", "))?;
        for GpioPin { number, user, .. } in pins {
            if let Some(user) = user {
                writeln!(f, "    {number}: used by {user}")?;
            }
        }
        if let Some(why) = unusable {
            writeln!(f, "  ({why})")?;
        }
        Ok(())
    }
}

fn default(control: &crate::camera::Control) -> String {
    // A word that is allowed anyway needs no telling.
    match (&control.range, &control.default) {
        (ControlRange::Words(_), None) | (_, None) => String::new(),
        (_, Some(value)) => format!(", {value} if not set"),
    }
}

/// The sizes of each format, each with its fastest rate.
fn by_format(modes: &[ModeInfo]) -> Vec<(&str, Vec<String>)> {
    type Size = (u32, u32, Option<f64>);
    let mut formats: Vec<(&str, Vec<Size>)> = Vec::new();
    for ModeInfo { format, width, height, max_fps } in modes {
        if formats.iter().all(|(name, _)| name != format) {
            formats.push((format, Vec::new()));
        }
        let Some((_, sizes)) = formats.iter_mut().find(|(name, _)| name == format) else {
            continue;
        };
        match sizes.iter_mut().find(|(w, h, _)| (*w, *h) == (*width, *height)) {
            Some((_, _, fps)) if *fps >= *max_fps => {}
            Some((_, _, fps)) => *fps = *max_fps,
            None => sizes.push((*width, *height, *max_fps)),
        }
    }
    let text = |(width, height, fps): (u32, u32, Option<f64>)| match fps {
        Some(fps) => format!("{width}×{height} at {fps:.0}"),
        None => format!("{width}×{height}"),
    };
    formats
        .into_iter()
        .map(|(format, sizes)| (format, sizes.into_iter().map(text).collect()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::Control;

    fn webcam() -> CameraInfo {
        let mode = |format: &str, width, height, fps| ModeInfo {
            format: format.into(),
            width,
            height,
            max_fps: Some(fps),
        };
        CameraInfo {
            source: "v4l2:/dev/video0".into(),
            id: "usb-1.2".into(),
            model: "HD Webcam".into(),
            location: None,
            modes: vec![
                mode("YUYV", 640, 480, 15.0),
                mode("YUYV", 640, 480, 30.0),
                mode("MJPG", 1280, 720, 30.0),
            ],
            controls: vec![Control {
                name: "brightness",
                range: ControlRange::Number { min: -1.0, max: 1.0 },
                default: Some(ControlValue::Number(0.0)),
            }],
        }
    }

    fn bare() -> Probe {
        Probe {
            board: Board::default(),
            cores: 4,
            cameras: vec![],
            blind: vec![],
            encoders: vec![],
            no_hardware: Some("this machine has no H.264 encoder".into()),
            header: Err(GpioError::NotAPi),
        }
    }

    fn pi() -> Probe {
        let pin = |number: u8, user: Option<&str>| GpioPin {
            number,
            name: format!("GPIO{number}"),
            user: user.map(str::to_owned),
        };
        Probe {
            board: Board {
                model: Some("Raspberry Pi 4 Model B Rev 1.4".into()),
                compatible: vec!["raspberrypi,4-model-b".into(), "brcm,bcm2711".into()],
            },
            cameras: vec![webcam()],
            encoders: vec![FoundEncoder {
                backend: "v4l2-m2m",
                what: "/dev/video11 (bcm2835-codec)".into(),
                most: (1920, 1088),
            }],
            no_hardware: None,
            header: Ok(GpioHeader {
                chip: "gpiochip0 (pinctrl-bcm2711)".into(),
                pins: vec![pin(4, None), pin(5, None), pin(17, Some("lamp"))],
                unusable: None,
            }),
            ..bare()
        }
    }

    #[test]
    fn a_board_is_told_with_all_it_has_and_what_auto_makes_of_it() {
        assert_eq!(
            pi().to_string(),
            "Board\n  Raspberry Pi 4 Model B Rev 1.4 (BCM2711), 4 cores\n\n\
             Cameras\n  v4l2:/dev/video0  HD Webcam (usb-1.2)\n    YUYV: 640×480 at 30\n    \
             MJPG: 1280×720 at 30\n    brightness = a number from -1 to 1, 0 if not set\n\n\
             Encoders\n  v4l2-m2m  /dev/video11 (bcm2835-codec), up to 1920×1088\n    \
             1280×720 at 30: 1 thread\n    1920×1080 at 30: 3 threads\n\n\
             GPIO\n  gpiochip0 (pinctrl-bcm2711), by the numbers that led.pin and button.pin take\n    \
             free: 4, 5\n    17: used by lamp\n\n\
             `auto` chooses\n  camera.source = \"v4l2:/dev/video0\": the first USB camera\n  \
             encoder.backend = \"v4l2-m2m\": /dev/video11 (bcm2835-codec) codes H.264\n"
        );
        let json = pi().json();
        assert_eq!(json["auto"]["encoder"], "v4l2-m2m");
        assert_eq!(json["board"]["chip"], "BCM2711");
        assert_eq!(json["cameras"][0]["modes"][2]["format"], "MJPG");
        assert_eq!(
            json["gpio"]["pins"][2],
            json!({ "pin": 17, "name": "GPIO17", "usedBy": "lamp" })
        );
        assert_eq!(
            (&json["gpio"]["usable"], &json["gpio"]["because"]),
            (&json!(true), &json!(null))
        );
    }

    #[test]
    fn built_in_cameras_come_before_those_on_usb_however_they_are_driven() {
        let by =
            |source: &str, location| CameraInfo { source: source.into(), location, ..webcam() };
        let usb = by("libcamera:0", Some(Location::External));
        let chosen =
            |cameras: Vec<CameraInfo>| Probe { cameras, ..bare() }.camera().what.to_owned();
        assert_eq!(chosen(vec![usb.clone(), webcam()]), "v4l2:/dev/video0");
        let built_in = by("libcamera:1", Some(Location::Back));
        assert_eq!(chosen(vec![usb, webcam(), built_in]), "libcamera:1");
    }

    #[test]
    fn what_a_machine_does_not_have_is_told_with_the_reason() {
        let bare = bare();
        let text = bare.to_string();
        for line in [
            "  none: this machine is not a Raspberry Pi with GPIO that Picket knows\n",
            "  camera.source = \"pattern\": no camera was found\n",
            "  encoder.backend = \"openh264\": this machine has no H.264 encoder\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert_eq!(bare.json()["gpio"]["usable"], false);
        assert_eq!(bare.json()["software"][1]["threads"], 3);
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let probe = probe();
        assert_eq!(probe.json()["encoders"].as_array().map(Vec::is_empty), Some(false));
        assert!(probe.to_string().contains("`auto` chooses"));
    }
}
