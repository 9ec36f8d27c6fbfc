//! What only a device or a service manager does.
//!
//! In comes how the house is doing, from `app`; out go signs for whoever looks after the process
//! or stands before the device, and the presses of its button. Nothing here is needed to watch a
//! camera, and where there is nobody to tell, or no pin to tell it by, nothing happens.

mod button;
mod chips;
mod device;
mod gpio;
mod led;
mod mdns;
mod network;
mod notify;
mod panel;
mod private;
mod steward;
mod updates;

pub use button::ButtonEvent;
pub use chips::{Chip, ChipLine, chips};
pub use device::{
    Bundle, Choice, ChoiceOutcome, Device, InstallError, Installer, LengthError, Step, Turn,
};
pub use gpio::{Board, GpioError, Header, Pin, board, header, pin_trouble};
pub use led::{House, Stage};
pub use mdns::{Announcement, OtherName};
pub use network::{OWN_NETWORK, has_network};
pub use notify::ServiceManager;
pub use panel::{Look, Panel};
pub(crate) use private::create_private;
pub use steward::{
    Answers, Asked, CameraReport, Data, DeviceStatus, Join, Lease, LinkStatus, LongestLine,
    Outcome, Reply, Request, SOCKET, SeenNetwork, Slot, Steward, StewardError, UpdateStatus,
    VARIABLE as STEWARD_VARIABLE, WifiStatus,
};
pub use updates::{News, NotInstalled, Offer, UpdateError, Updates};
