//! `picket probe`: what this machine has, and what Picket would use.

use std::fmt;

use serde_json::{Value, json};

use crate::camera::{ControlRange, ControlValue, Found, FoundMode, Location};

/// What was found.
#[derive(Clone, Debug)]
pub struct Probe {
    cameras: Vec<Found>,
    /// Why some cameras may be missing from the list.
    blind: Vec<&'static str>,
    encoders: Vec<FoundEncoder>,
    camera: String,
}

#[derive(Clone, Debug)]
struct FoundEncoder {
    /// As `encoder.backend` names it.
    backend: &'static str,
    what: String,
    /// Largest picture.
    most: (u32, u32),
}

/// Looks at what this machine has. Opens devices for a moment, and changes nothing.
#[must_use]
pub fn probe() -> Probe {
    let cameras = cameras();
    let mut encoders = hardware_encoders();
    encoders.push(FoundEncoder {
        backend: "openh264",
        what: "in software".into(),
        most: (3840, 2160),
    });
    let camera = cameras.first().map_or_else(|| "pattern".into(), |found| found.source.clone());
    Probe { cameras, blind: blind(), encoders, camera }
}

/// The cameras there are.
fn cameras() -> Vec<Found> {
    let found: Vec<Vec<Found>> = vec![
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

#[cfg(feature = "v4l2")]
fn hardware_encoders() -> Vec<FoundEncoder> {
    use crate::encoder::v4l2_m2m::{Coding, list};
    let found = list(Coding::H264).into_iter().map(|node| FoundEncoder {
        backend: "v4l2-m2m",
        what: node.to_string(),
        most: node.coding().most(),
    });
    found.collect()
}

#[cfg(not(feature = "v4l2"))]
fn hardware_encoders() -> Vec<FoundEncoder> {
    Vec::new()
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
        json!({
            "cameras": self.cameras.iter().map(camera_json).collect::<Vec<_>>(),
            "notLookedFor": self.blind,
            "encoders": self.encoders.iter().map(encoder).collect::<Vec<_>>(),
            "auto": { "camera": self.camera, "encoder": self.encoder() },
        })
    }

    /// The encoder that `auto` chooses.
    fn encoder(&self) -> &'static str {
        self.encoders.first().map_or("openh264", |e| e.backend)
    }
}

fn camera_json(found: &Found) -> Value {
    let mode = |m: &FoundMode| json!({ "format": m.format, "width": m.width, "height": m.height, "maxFps": m.max_fps });
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
        Location::Front => "front",
        Location::Back => "back",
        Location::External => "external",
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Cameras")?;
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
        writeln!(f, "\n`auto` chooses")?;
        writeln!(f, "  camera.source = \"{}\"", self.camera)?;
        writeln!(f, "  encoder.backend = \"{}\"", self.encoder())
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
fn by_format(modes: &[FoundMode]) -> Vec<(&str, Vec<String>)> {
    type Size = (u32, u32, Option<f64>);
    let mut formats: Vec<(&str, Vec<Size>)> = Vec::new();
    for FoundMode { format, width, height, max_fps } in modes {
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

    fn webcam() -> Found {
        let mode = |format: &str, width, height, fps| FoundMode {
            format: format.into(),
            width,
            height,
            max_fps: Some(fps),
        };
        Found {
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

    #[test]
    fn a_camera_is_listed_with_its_sizes_and_knobs_and_chosen() {
        let hardware =
            FoundEncoder { backend: "v4l2-m2m", what: "/dev/video11".into(), most: (1920, 1088) };
        let probe = Probe {
            camera: webcam().source,
            cameras: vec![webcam()],
            blind: vec![],
            encoders: vec![hardware],
        };
        assert_eq!(
            probe.to_string(),
            "Cameras\n  v4l2:/dev/video0  HD Webcam (usb-1.2)\n    YUYV: 640×480 at 30\n    \
             MJPG: 1280×720 at 30\n    brightness = a number from -1 to 1, 0 if not set\n\n\
             Encoders\n  v4l2-m2m  /dev/video11, up to 1920×1088\n\n`auto` chooses\n  \
             camera.source = \"v4l2:/dev/video0\"\n  encoder.backend = \"v4l2-m2m\"\n"
        );
        assert_eq!(probe.json()["auto"]["encoder"], "v4l2-m2m");
        assert_eq!(probe.json()["cameras"][0]["modes"][2]["format"], "MJPG");
    }

    #[test]
    fn a_machine_with_nothing_shows_the_pattern() {
        let probe = probe();
        assert_eq!(probe.json()["encoders"].as_array().map(Vec::is_empty), Some(false));
        assert!(probe.to_string().contains("`auto` chooses"));
    }
}
