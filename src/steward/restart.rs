//! Restarting the device.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;

/// What the Pi's firmware takes for the order to start the other system once. The kernel hands it
/// over with the restart.
const TRY_THE_OTHER: &CStr = c"0 tryboot";

/// What is started next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The system that is kept.
    Kept,
    /// The other one, once.
    Other,
}

/// Restarts the device at once; everything must have been written out. Returns only if the kernel
/// refuses (reboot(2)).
pub(super) fn now(next: Next) -> io::Error {
    let (command, argument) = match next {
        Next::Kept => (libc::LINUX_REBOOT_CMD_RESTART, std::ptr::null()),
        Next::Other => (libc::LINUX_REBOOT_CMD_RESTART2, TRY_THE_OTHER.as_ptr()),
    };
    // SAFETY: the two magic numbers and the command are those of reboot(2), and the argument is a
    // string that lives for ever, or null for a command that takes none.
    unsafe {
        libc::syscall(
            libc::SYS_reboot,
            libc::LINUX_REBOOT_MAGIC1,
            libc::LINUX_REBOOT_MAGIC2,
            command,
            argument,
        );
    }
    io::Error::last_os_error()
}
