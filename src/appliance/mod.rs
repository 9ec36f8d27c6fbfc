//! What only a device or a service manager needs: LED and button, the name on the network,
//! keep-alive notifications, updates, and the client of the steward.
//!
//! In comes how Picket is doing, from `app`, and what the owner wants, from `http`; out go
//! notifications to the service manager, the LED's patterns, presses of the button, and requests to
//! the steward. Nothing here is needed to watch a camera: without a service manager, a pin or a
//! steward, nothing happens.

mod board;
mod button;
mod device;
mod gpio;
pub(crate) mod gpio_chips;
mod installer;
mod led_and_button;
mod mdns;
mod network;
mod private_file;
mod service_manager;
mod status_led;
mod steward_client;
mod updates;

pub use board::{Board, board};
pub use button::ButtonEvent;
pub use device::{Device, WifiJoin};
pub use gpio::{GpioError, GpioHeader, GpioPin, gpio_header, gpio_unavailable};
pub use installer::{BundleSource, InstallError, InstallProgress, Installer, LengthError};
pub use led_and_button::{LedAndButton, ReadLedInputs};
pub use mdns::{AlternativeName, MdnsResponder};
pub use network::{ACCESS_POINT_ADDRESS, has_network};
#[cfg(feature = "steward")]
pub(crate) use private_file::create_private;
pub(crate) use private_file::replace_file;
pub use service_manager::ServiceManager;
pub use status_led::{LedInputs, StartState};
#[cfg(feature = "steward")]
pub use steward_client::{
    BootSlot, CONTROL_SOCKET, DhcpLease, LineLimit, LinkStatus, STEWARD_VARIABLE, WifiStatus,
};
pub use steward_client::{
    CameraReport, DeviceStatus, HttpsStatus, JoinRequest, SeenNetwork, StewardClient, StewardError,
    StewardReply, StewardRequest, UpdateOutcome, UpdateStatus,
};
pub use updates::{UpdateCheck, UpdateError};
