//! Bytes to text, whatever editor the file was saved with.
//!
//! Notepad writes a byte order mark, or UTF-16, and CRLF; a FAT file that was being written when the
//! power failed is full of NULs. In any case the part that can be read is read, and the first place
//! that cannot is named.

/// The largest file that is read: far beyond any real configuration, and small enough for a Pi Zero to
/// parse at once.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// A configuration file as text.
#[derive(Debug)]
pub(super) struct FileText {
    /// The text up to the fault, or all of it. Line ends are as in the file, except that a lone
    /// carriage return has become a line feed.
    pub text: String,
    /// Why it ends before the file does.
    pub fault: Option<&'static str>,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl FileText {
    /// Reads UTF-8 and UTF-16, with a byte order mark or without. Never fails.
    pub fn decode(bytes: &[u8]) -> Self {
        if bytes.len() > MAX_BYTES {
            let fault = "the file is larger than 1 MiB, so it is no Picket configuration; \
                         nothing in it is used";
            return Self::new(String::new(), Some(fault));
        }
        let (text, fault) = match bytes {
            [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
            [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
            _ if nul_share(bytes, 1) => utf16(bytes, u16::from_le_bytes),
            _ if nul_share(bytes, 0) => utf16(bytes, u16::from_be_bytes),
            _ => utf8(bytes),
        };
        match text.find('\0') {
            Some(nul) => Self::new(
                text[..nul].to_owned(),
                Some("a NUL byte; the file is damaged, write it again"),
            ),
            None => Self::new(text, fault),
        }
    }

    fn new(text: String, fault: Option<&'static str>) -> Self {
        let text = unify_line_ends(text);
        let lines =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, fault, lines }
    }

    /// Line and column, both counted from 1, of a byte of the text.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.line_start(offset);
        let before = &self.text.as_bytes()[start..offset];
        // Characters, not bytes: every byte that does not continue one.
        let column = before.iter().filter(|b| **b & 0xC0 != 0x80).count();
        (line, column + 1)
    }

    /// Where the line that holds this byte begins.
    pub fn line_start(&self, offset: usize) -> usize {
        let line = self.lines.partition_point(|start| *start <= offset);
        self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0)
    }
}

fn utf8(bytes: &[u8]) -> (String, Option<&'static str>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(e) => {
            let good = &bytes[..e.valid_up_to()];
            (
                String::from_utf8_lossy(good).into_owned(),
                Some("this is not UTF-8 text; save the file as UTF-8"),
            )
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (String, Option<&'static str>) {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut fault = (!odd.is_empty()).then_some("the file ends within a character");
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .map_while(|c| {
            c.inspect_err(|_| fault = Some("this is not UTF-16 text; save the file as UTF-8")).ok()
        })
        .collect();
    (text, fault)
}

/// Whether most of every second byte, counted from `first`, is NUL and the others are not: what
/// UTF-16 without a byte order mark looks like, since a configuration is mostly ASCII.
fn nul_share(bytes: &[u8], first: usize) -> bool {
    let (pairs, _) = bytes.as_chunks::<2>();
    let nuls = |side: usize| pairs.iter().filter(|pair| pair[side] == 0).count();
    pairs.len() >= 2 && nuls(first) * 4 > pairs.len() * 3 && nuls(1 - first) == 0
}

/// Turns the lone carriage returns of an old Mac's editor into line feeds. Offsets stay.
fn unify_line_ends(text: String) -> String {
    if !text.contains('\r') {
        return text;
    }
    let mut unified = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let lone = c == '\r' && rest.peek() != Some(&'\n');
        unified.push(if lone { '\n' } else { c });
    }
    unified
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "[device]\nhostname = \"türe\"\n";

    fn utf16_bytes(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn every_way_an_editor_saves_text_reads_the_same() {
        let with_mark = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
        let le = utf16_bytes(SAMPLE, u16::to_le_bytes);
        let be = utf16_bytes(SAMPLE, u16::to_be_bytes);
        for bytes in [
            SAMPLE.as_bytes().to_vec(),
            with_mark(b"\xEF\xBB\xBF", SAMPLE.as_bytes()),
            with_mark(b"\xFF\xFE", &le),
            with_mark(b"\xFE\xFF", &be),
            le,
            be,
            SAMPLE.replace('\n', "\r").into_bytes(),
        ] {
            let text = FileText::decode(&bytes);
            assert_eq!((text.text.as_str(), text.fault), (SAMPLE, None));
        }
    }

    #[test]
    fn text_is_read_up_to_the_first_broken_place() {
        for (bytes, rest) in [
            (&b"a = 1\nb\xFF\xFE"[..], "a = 1\nb"),
            (b"a = 1\nb\0\0\0\0\0\0", "a = 1\nb"),
            (b"\xFF\xFEa\0\x00\xD8b\0", "a"),
            (b"\xFF\xFEa\0b", "a"),
            (&[0; 4096], ""),
            (&[b'a'; MAX_BYTES + 1], ""),
        ] {
            let text = FileText::decode(bytes);
            assert_eq!(text.text, rest);
            assert!(text.fault.is_some(), "{rest}");
        }
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = FileText::decode("é = 1\r\nüü = 2\rx\n".as_bytes());
        assert_eq!(text.position(0), (1, 1));
        assert_eq!(text.position(text.text.find('1').unwrap()), (1, 5));
        assert_eq!(text.position(text.text.find('2').unwrap()), (2, 6));
        assert_eq!(text.position(text.text.find('x').unwrap()), (3, 1));
        assert_eq!(text.position(usize::MAX), (4, 1));
    }
}
