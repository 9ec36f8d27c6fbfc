//! Files that are for nobody else to read.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes a file anew that its owner alone can read, from its first moment on and whatever the umask.
/// One that is there, or a link, goes first: it may be anybody's, or open in another program.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn create_private(file: &Path) -> io::Result<File> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().write(true).create_new(true).mode(0o600).open(file)
}
