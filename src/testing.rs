//! What Picket's own tests and benchmarks need of the rooms behind the library's surface, and nothing
//! else: no promise to anybody, and changed without a word. Behind the feature `testing`, which a program
//! that embeds Picket does not switch on. Each module is named for the room it lets into.

pub mod appliance {
    pub use crate::appliance::gpio_chips::gpio_chips;
    pub use crate::appliance::{
        BootSlot, CameraReport, Device, DeviceStatus, JoinRequest, LinkStatus, STEWARD_VARIABLE,
        SeenNetwork, StewardClient, StewardReply, StewardRequest, UpdateOutcome, UpdateStatus,
        WifiStatus,
    };
}

pub mod camera {
    pub use crate::camera::control_state::CameraControls;
    #[cfg(feature = "libcamera")]
    pub use crate::camera::info::{Location, ModeInfo};

    pub mod file {
        pub use crate::camera::file::{FileCamera, PlaybackClock, fuzz};
    }

    #[cfg(feature = "libcamera")]
    pub mod libcamera {
        pub use crate::camera::libcamera::{Flip, LibCamera, can_flip, is_there, list};
    }

    pub mod pattern {
        pub use crate::camera::pattern::{TestPattern, read_strip};
    }

    #[cfg(feature = "v4l2")]
    pub mod v4l2 {
        pub use crate::camera::v4l2::V4l2Camera;
    }
}

pub mod decoder {
    pub use crate::decoder::Decoder;
}

pub mod encoder {
    pub use crate::encoder::{Encoder, EncoderError, EncoderSettings, FrameType};

    pub mod openh264 {
        pub use crate::encoder::openh264::OpenH264;
    }

    #[cfg(feature = "v4l2")]
    pub mod v4l2_m2m {
        pub use crate::encoder::v4l2_m2m::{CodedFormat, CodedPicture, V4l2M2m, find};
    }
}

pub mod events {
    pub use crate::events::broadcast::Events;
}

pub mod http {
    pub use crate::http::auth::{Authenticator, PasswordStore, end_revoked_sessions};
    pub use crate::http::peer::{Peer, Scheme};
    pub use crate::http::pictures::Snapshotter;
    pub use crate::http::routes::{Middleware, service};
    pub use crate::http::serve::{Server, ServerLimits, Service};
    pub use crate::http::settings::{HttpSettings, Sharing};
    pub use crate::http::state::{Camera, Dependencies, HttpState};
}

pub mod hub {
    pub use crate::hub::{Delivery, Hub, PublishSignal, Viewer};
}

pub mod pipeline {
    pub use crate::pipeline::{
        EncoderFactory, FixedSettings, LiveSettings, OutputSettings, Parts, Pipeline,
    };
}

pub mod site {
    pub use crate::site::{Mount, Site};
}

pub mod stills {
    pub use crate::stills::{NoPicture, Still, Wish};
}

pub mod transform {
    pub use crate::transform::chain::{Chain, TransformSettings};
    pub use crate::transform::i420::CopyMeter;
    pub use crate::transform::orientation::Rotation;
    pub use crate::transform::overlay::OverlaySettings;
}

pub mod webrtc {
    pub use crate::webrtc::{
        Caller, Holder, SignallingPath, WatchedCamera, WebRtc, WebRtcSettings,
    };

    pub mod sdp {
        pub use crate::webrtc::sdp::{Direction, Offer};
    }

    pub mod stun_turn {
        pub use crate::webrtc::stun_turn::{
            Candidate, Handled, IceServer, Kind, Poll, ServerProblem, Servers,
        };
    }
}
