//! The device around the camera, where this is the image.

use tokio::runtime::Handle;

use crate::appliance::{Device, Steward};
use crate::config::Config;
use crate::hub::Hub;

/// The device, which from now on looks for updates; `None` elsewhere than on the image.
pub(super) fn start(config: &Config, hub: Hub, runtime: &Handle) -> Option<Device> {
    let device = Device::new(Steward::from_environment()?, config.update.clone());
    runtime.spawn(device.updates().clone().run(move || hub.viewers() > 0));
    Some(device)
}
