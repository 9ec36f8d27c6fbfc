//! Taking a downloaded archive apart, in memory and without trust.
//!
//! The archive is a tar (POSIX.1-1988 ustar with the pax and GNU extensions for long names),
//! plain or compressed with gzip (RFC 1952), that holds `templates/` and `static/` at its top.
//! Nothing is written here: either the whole archive passes and its files are handed over, or
//! none of them is.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::defaults::DataFolder;
use super::name::{FileName, NameProblem};

/// At most this much may come out of an archive, whatever its compressed size.
pub(super) const MAX_UNPACKED: u64 = 32 << 20;
const MAX_ENTRIES: usize = 2000;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// The usable files of an archive.
pub(super) type Files = BTreeMap<(DataFolder, FileName), Vec<u8>>;

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("the archive is not a readable .tar or .tar.gz: {0}")]
    Malformed(io::Error),
    #[error("the archive unpacks to more than {} MiB", MAX_UNPACKED >> 20)]
    TooLarge,
    #[error("the archive has more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    #[error("the archive has an entry with the unsafe name {0:?}; names must stay in their folder")]
    UnsafeName(String),
    #[error("the archive's entry {0:?} is a link or a device; only regular files are taken")]
    NotAFile(String),
    #[error("the archive ends within the file {0:?}")]
    Truncated(String),
    #[error("the archive has no file under templates/ or static/ at its top")]
    Empty,
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        Self::Malformed(error)
    }
}

/// Takes the files under `templates/` and `static/` out of an archive.
///
/// Other files and hidden ones are passed over: a readme is no attack. A link, a device or a name
/// that leads elsewhere is, or at least a mistake, so it costs the whole archive.
pub(super) fn unpack(bytes: &[u8]) -> Result<Files, ArchiveError> {
    if bytes.starts_with(GZIP_MAGIC) {
        unpack_tar(MultiGzDecoder::new(bytes))
    } else {
        unpack_tar(bytes)
    }
}

fn unpack_tar(tar: impl Read) -> Result<Files, ArchiveError> {
    let mut archive = Archive::new(tar.take(MAX_UNPACKED + 1));
    let files = collect(&mut archive);
    // The limit looks like the end of the file to the tar reader, so ask for it first.
    if archive.into_inner().limit() == 0 {
        return Err(ArchiveError::TooLarge);
    }
    match files {
        Ok(files) if files.is_empty() => Err(ArchiveError::Empty),
        other => other,
    }
}

fn collect(archive: &mut Archive<impl Read>) -> Result<Files, ArchiveError> {
    let mut files = Files::new();
    for (index, entry) in archive.entries()?.enumerate() {
        if index == MAX_ENTRIES {
            return Err(ArchiveError::TooManyEntries);
        }
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        match entry.header().entry_type() {
            // `git archive` begins with a global header.
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            // Archives older than ustar mark a directory by its name alone.
            EntryType::Regular if name.ends_with('/') => continue,
            EntryType::Regular => {}
            _ => return Err(ArchiveError::NotAFile(name)),
        }
        let Some(destination) = destination(&name)? else { continue };
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        if content.len() as u64 != entry.size() {
            return Err(ArchiveError::Truncated(name));
        }
        files.insert(destination, content);
    }
    Ok(files)
}

/// Where an entry belongs, if anywhere. `tar -C folder .` puts `./` before every name.
fn destination(entry: &str) -> Result<Option<(DataFolder, FileName)>, ArchiveError> {
    let name = match FileName::parse(entry.strip_prefix("./").unwrap_or(entry)) {
        Ok(name) => name,
        Err(NameProblem::Hidden) => return Ok(None),
        Err(NameProblem::Unsafe) => return Err(ArchiveError::UnsafeName(entry.to_owned())),
    };
    let Some((top, rest)) = name.as_str().split_once('/') else {
        return Ok(None);
    };
    let data_folder = DataFolder::ALL.into_iter().find(|data_folder| data_folder.dir() == top);
    Ok(data_folder.and_then(|data_folder| Some((data_folder, FileName::parse(rest).ok()?))))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{gzip, tar, tar_entry};
    use super::*;

    fn names(files: &Files) -> Vec<String> {
        files
            .keys()
            .map(|(data_folder, name)| format!("{}/{}", data_folder.dir(), name.as_str()))
            .collect()
    }

    #[test]
    fn plain_and_compressed_archives_give_their_files() {
        let plain = tar(&[("./templates/index.html", "index"), ("static/css/a.css", "css")]);
        for archive in [plain.clone(), gzip(&plain)] {
            let files = unpack(&archive).unwrap();
            assert_eq!(names(&files), ["templates/index.html", "static/css/a.css"]);
            assert_eq!(files.values().next().unwrap(), b"index");
        }
    }

    #[test]
    fn files_that_do_not_belong_are_passed_over() {
        let mut archive = tar_entry("pax_global_header", EntryType::XGlobalHeader, b"");
        archive.extend(tar_entry("templates/", EntryType::Directory, b""));
        archive.extend(tar_entry("static/old/", EntryType::Regular, b""));
        archive.extend(tar(&[
            ("README.md", "read me"),
            ("templates/.DS_Store", "x"),
            ("templatesque/x.html", "x"),
            ("templates/a.html", "a"),
        ]));
        assert_eq!(names(&unpack(&archive).unwrap()), ["templates/a.html"]);
    }

    #[test]
    fn a_long_name_is_read_whole() {
        let name = format!("static/{}/{}.css", "d".repeat(120), "f".repeat(120));
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        builder.append_data(&mut header, &name, &b"x"[..]).unwrap();
        assert_eq!(names(&unpack(&builder.into_inner().unwrap()).unwrap()), [name]);
    }

    #[test]
    fn a_name_that_leads_elsewhere_costs_the_whole_archive() {
        for name in [
            "../evil.html",
            "/etc/passwd",
            "templates/../../evil.html",
            "static/css/../../../evil",
            "templates//x.html",
            "templates\\..\\evil.html",
            "templates/x\n.html",
            "templates/./x.html",
        ] {
            let archive = tar(&[("templates/index.html", "good"), (name, "evil")]);
            let error = unpack(&archive).unwrap_err();
            assert!(matches!(error, ArchiveError::UnsafeName(_)), "{name:?}: {error}");
        }
    }

    #[test]
    fn a_link_or_a_device_costs_the_whole_archive() {
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Block,
            EntryType::Fifo,
            EntryType::Continuous,
            EntryType::new(b'V'),
        ] {
            let mut archive = tar_entry("templates/x.html", kind, b"");
            archive.extend(tar(&[("templates/index.html", "good")]));
            let error = unpack(&archive).unwrap_err();
            assert!(matches!(error, ArchiveError::NotAFile(_)), "{kind:?}: {error}");
        }
    }

    #[test]
    fn an_archive_that_unpacks_to_too_much_is_refused() {
        let block = vec![0; 1 << 20];
        let mut bomb = Vec::new();
        for index in 0..33 {
            bomb.extend(tar_entry(&format!("static/{index}"), EntryType::Regular, &block));
        }
        let bomb = gzip(&bomb);
        assert!(bomb.len() < 1 << 20, "the test means a small archive");
        assert!(matches!(unpack(&bomb), Err(ArchiveError::TooLarge)));
    }

    #[test]
    fn an_entry_that_claims_to_be_huge_is_refused() {
        let mut header = tar::Header::new_gnu();
        header.set_path("static/huge").unwrap();
        header.set_size(u64::MAX / 2);
        header.set_cksum();
        assert!(unpack(header.as_bytes()).is_err());
    }

    #[test]
    fn too_many_entries_are_refused() {
        let archive: Vec<u8> = (0..=MAX_ENTRIES)
            .flat_map(|index| tar_entry(&format!("static/{index}"), EntryType::Regular, b""))
            .collect();
        assert!(matches!(unpack(&archive), Err(ArchiveError::TooManyEntries)));
    }

    #[test]
    fn an_archive_cut_anywhere_is_refused_or_gives_whole_files_only() {
        let whole = tar(&[("static/a", &"a".repeat(700)), ("static/b", &"b".repeat(700))]);
        for archive in [whole.clone(), gzip(&whole)] {
            for length in 0..archive.len() {
                for content in unpack(&archive[..length]).unwrap_or_default().values() {
                    assert_eq!(content.len(), 700, "cut at {length}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert!(matches!(unpack(b""), Err(ArchiveError::Empty)));
        assert!(unpack(&[b'x'; 4096]).is_err());
        assert!(unpack(GZIP_MAGIC).is_err());
        assert!(matches!(unpack(&tar(&[("README", "x")])), Err(ArchiveError::Empty)));
    }
}
