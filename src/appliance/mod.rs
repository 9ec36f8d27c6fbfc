//! What only a device or a service manager does.
//!
//! In comes how the house is doing, from `app`; out go signs for whoever looks after the process.
//! Nothing here is needed to watch a camera, and where there is nobody to tell, nothing happens.

mod notify;

pub use notify::ServiceManager;
