//! The configuration as plain data: what every room reads.
//!
//! Defaults are those of [`Default`]; the reference in `docs/configuration.md` is tested against
//! them. Ranges and documentation of each key are in [`keys`](mod@super::keys).

mod appliance;
mod controls;
mod media;
mod network;

pub use appliance::{Button, Install, Led, Level, Log, Schedule, Ssh, Update, Watchdog};
pub use controls::{AfMode, Auto, Awb, Controls, Flicker, Gains, Hdr, Metering, NoiseReduction};
pub use media::{Backend, BorderType, Camera, Encoder, Overlay, Stabilizer, Stream};
pub use network::{Device, Http, Network, Site, Webrtc, Wifi};

use super::Auth;
use super::values::{CameraName, MAIN};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Who may sign in.
    pub auth: Auth,
    /// The device itself.
    pub device: Device,
    /// Its wireless network; image only.
    pub wifi: Wifi,
    /// Its address; image only.
    pub network: Network,
    /// Where pictures come from.
    pub camera: Camera,
    /// How they are encoded.
    pub encoder: Encoder,
    /// The cameras beside the one that the two above describe; see [`Config::all_cameras`].
    pub cameras: Vec<FurtherCamera>,
    /// Who watches, and what is shown when there is no picture.
    pub stream: Stream,
    /// How pictures reach viewers.
    pub webrtc: Webrtc,
    /// The web server.
    pub http: Http,
    /// The pages' files.
    pub site: Site,
    /// The LED.
    pub led: Led,
    /// The button.
    pub button: Button,
    /// The hardware watchdog; image only.
    pub watchdog: Watchdog,
    /// Updates of the image; image only.
    pub update: Update,
    /// Signing in to the device itself; image only.
    pub ssh: Ssh,
    /// The log.
    pub log: Log,
}

/// A camera beside `main`: one entry of `[[cameras]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct FurtherCamera {
    /// What it is called; never `main`, and no two have the same.
    pub name: CameraName,
    /// Where its pictures come from.
    pub camera: Camera,
    /// How they are encoded.
    pub encoder: Encoder,
}

impl FurtherCamera {
    /// Its settings, as those of one of all cameras.
    pub(super) fn settings(&self) -> CameraSettings<'_> {
        CameraSettings { name: &self.name, camera: &self.camera, encoder: &self.encoder }
    }
}

/// The settings of one camera, `main` or another.
#[derive(Clone, Copy, Debug)]
pub struct CameraSettings<'a> {
    /// What it is called.
    pub name: &'a CameraName,
    /// Where its pictures come from.
    pub camera: &'a Camera,
    /// How they are encoded.
    pub encoder: &'a Encoder,
}

impl Config {
    /// All cameras, `main` first.
    pub fn all_cameras(&self) -> impl Iterator<Item = CameraSettings<'_>> {
        std::iter::once(self.main_camera()).chain(self.cameras.iter().map(FurtherCamera::settings))
    }

    /// The camera of `[camera]` and `[encoder]`.
    pub(super) fn main_camera(&self) -> CameraSettings<'_> {
        CameraSettings { name: &MAIN, camera: &self.camera, encoder: &self.encoder }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_all_cameras_is_the_one_of_the_old_sections() {
        let file = "[[cameras]]\nname = \"garden\"\nsource = \"pattern\"\n[camera]\nwidth = 640\n";
        let config = Config::load(file.as_bytes(), "f").config;
        let all: Vec<_> = config.all_cameras().map(|c| (c.name.as_str(), c.camera.width)).collect();
        assert_eq!(all, [("main", Some(640)), ("garden", None)]);
        assert!(CameraName::main().is_main());
    }
}
