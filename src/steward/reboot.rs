//! Restarting the device.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;

/// What the Pi's firmware takes as the order to start the `[tryboot]` system of `autoboot.txt`
/// once. The kernel passes it on with the restart.
const TRYBOOT: &CStr = c"0 tryboot";

/// Which system starts next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BootTarget {
    /// The default one.
    Default,
    /// The other one, once.
    Tryboot,
}

/// Restarts the device at once; everything must have been written out. Returns only if the kernel
/// refuses (reboot(2)).
pub(super) fn now(target: BootTarget) -> io::Error {
    let (command, argument) = match target {
        BootTarget::Default => (libc::LINUX_REBOOT_CMD_RESTART, std::ptr::null()),
        BootTarget::Tryboot => (libc::LINUX_REBOOT_CMD_RESTART2, TRYBOOT.as_ptr()),
    };
    // SAFETY: the two magic numbers and the command are those of reboot(2), and the argument is a
    // static string, or null for a command that takes none.
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
