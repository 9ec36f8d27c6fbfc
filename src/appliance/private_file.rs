//! Files that only their owner can read.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Creates a file that only its owner can read, from the first moment on and whatever the umask. A
/// file or link that exists is removed before: it may belong to somebody else, or be open in
/// another program.
///
/// # Errors
/// When it cannot be created.
pub(crate) fn create_private(file: &Path) -> io::Result<File> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().write(true).create_new(true).mode(0o600).open(file)
}
