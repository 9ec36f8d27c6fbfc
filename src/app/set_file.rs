//! Reading the files that `--set-file` names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::config::{Secret, split_set_file};

/// Far more than any value needs.
const MAX_BYTES: u64 = 64 * 1024;

/// The key of `KEY=FILE` and the text in the file, without the end of its last line, or why there is
/// none. The file's name is not told: who takes this for `--set` has written the value there.
pub(super) fn read(assignment: &str) -> (String, Result<Secret, String>) {
    let (key, file) = split_set_file(assignment);
    (key.to_owned(), text(file))
}

fn text(file: &Path) -> Result<Secret, String> {
    if file.as_os_str().is_empty() {
        return Err("expects KEY=FILE, the name of a file that holds the value".to_owned());
    }
    let bytes = bytes(file).map_err(|why| format!("its file cannot be read ({why})"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("its file is larger than 64 KiB, so it holds no value".to_owned());
    }
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or("its file is not UTF-8 text")?;
    // Windows' editor puts a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let line = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(Secret::new(line.unwrap_or(text)))
}

fn bytes(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(bytes: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("value");
        std::fs::write(&file, bytes).unwrap();
        let (key, text) = read(&format!("auth.password={}", file.display()));
        assert_eq!(key, "auth.password");
        text.map(|text| text.expose().to_owned())
    }

    #[test]
    fn the_text_is_taken_without_the_end_of_its_last_line() {
        for (bytes, text) in [
            (&b"correct horse"[..], "correct horse"),
            (b"correct horse\n", "correct horse"),
            (b"correct horse\r\n", "correct horse"),
            (b" correct horse \n\n", " correct horse \n"),
            ("\u{feff}correct horse\r\n".as_bytes(), "correct horse"),
            (b"", ""),
        ] {
            assert_eq!(read_of(bytes).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_file_that_holds_no_value_is_told_without_its_name() {
        let large = vec![b'x'; 64 * 1024 + 1];
        assert!(read_of(&large[1..]).is_ok());
        assert!(read_of(&large).unwrap_err().contains("64 KiB"));
        assert!(read_of(b"\xff\xfe").unwrap_err().contains("not UTF-8"));
        assert!(read_of(b"a\0b").unwrap_err().contains("not UTF-8"));
        for named in ["auth.password=hunter2hunter2", "auth.password=/", "auth.password="] {
            let (key, text) = read(named);
            let why = text.unwrap_err();
            assert!(key == "auth.password" && !why.contains("hunter2"), "{why}");
        }
    }
}
