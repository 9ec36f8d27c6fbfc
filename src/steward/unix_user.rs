//! The Unix user that the daemon runs as, and files that are handed over to it.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// A user and its primary group, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnixUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl UnixUser {
    /// Looks up a user in `/etc/passwd`.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(super) fn lookup(name: &str) -> io::Result<Self> {
        let passwd = std::fs::read_to_string("/etc/passwd")?;
        find(&passwd, name)
            .ok_or_else(|| io::Error::other(format!("/etc/passwd has no user {name}")))
    }

    /// The user that runs this process.
    #[cfg(test)]
    pub(super) fn current() -> Self {
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        Self { uid: uid.as_raw(), gid: gid.as_raw() }
    }

    /// Makes this user the owner of a file, and sets the file's mode.
    ///
    /// # Errors
    /// When the file is not there or cannot be changed.
    pub(super) fn own(self, path: &Path, mode: u32) -> io::Result<()> {
        let metadata = std::fs::metadata(path)?;
        if (metadata.uid(), metadata.gid()) != (self.uid, self.gid) {
            chown(path, Some(self.uid), Some(self.gid))?;
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    }
}

/// Finds a user in the text of `/etc/passwd` (passwd(5)).
fn find(passwd: &str, name: &str) -> Option<UnixUser> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        let mut number = || fields.next()?.parse().ok();
        let _password: Option<u32> = number();
        Some(UnixUser { uid: number()?, gid: number()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npicketeer:x:5:6::/:/bin/false\n\
                      picket:x:990:991::/data/picket:/bin/false\n";
        assert_eq!(find(passwd, "picket"), Some(UnixUser { uid: 990, gid: 991 }));
        assert_eq!(find(passwd, "nobody"), None);
        assert_eq!(find("picket:x:one:two", "picket"), None);
    }
}
