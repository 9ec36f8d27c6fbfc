//! Files that only their owner can read, written whole or not at all.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// For its owner alone.
const PRIVATE: u32 = 0o600;

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
    File::options().write(true).create_new(true).mode(PRIVATE).open(file)
}

/// Puts `contents` in place of the file in one step, by way of the file `new`: after a power cut it
/// is the old one or the new one, whole. It is its owner's alone or, where it takes the place of a
/// `former` one, readable by those who could read that, and by nobody else.
pub(crate) fn replace_file(
    file: &Path,
    new: &Path,
    contents: &[u8],
    former: Option<&Metadata>,
) -> io::Result<()> {
    let replaced = write(new, contents, former).and_then(|()| std::fs::rename(new, file));
    if replaced.is_err() {
        let _ = std::fs::remove_file(new);
    }
    replaced?;
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn write(new: &Path, contents: &[u8], former: Option<&Metadata>) -> io::Result<()> {
    let mut out = create_private(new)?;
    // The umask may have taken from it what its owner needs.
    let mode = former.map_or(PRIVATE, |former| mode_after(former, &out));
    out.set_permissions(Permissions::from_mode(mode))?;
    out.write_all(contents)?;
    out.sync_all()
}

/// The mode for the file that takes the place of a former one.
fn mode_after(former: &Metadata, new: &File) -> u32 {
    let mode = former.mode() & 0o777;
    // Its group keeps its rights, but no other group gets them.
    let kept = new.metadata().is_ok_and(|new| new.gid() == former.gid())
        || std::os::unix::fs::fchown(new, None, Some(former.gid())).is_ok();
    if kept { mode } else { mode & !0o070 }
}
