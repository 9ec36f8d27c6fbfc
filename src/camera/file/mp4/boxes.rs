//! Boxes (ISO/IEC 14496-12 §4.2), and big-endian numbers out of them.

/// The type of a box, or of a sample entry.
pub(super) type FourCc = [u8; 4];

/// Type, length of the header and size of the whole box; the size is `None` for a box that reaches to
/// the end of what holds it. `None` where there can be no box.
pub(super) fn header(bytes: &[u8]) -> Option<(FourCc, usize, Option<u64>)> {
    let mut fields = ByteReader(bytes);
    let size = fields.u32()?;
    let kind = fields.four_cc()?;
    match size {
        0 => Some((kind, 8, None)),
        1 => {
            let size = fields.u64()?;
            (size >= 16).then_some((kind, 16, Some(size)))
        }
        2..8 => None,
        _ => Some((kind, 8, Some(u64::from(size)))),
    }
}

/// The boxes inside `bytes`, each as its type and what is in it. Ends where it stops making sense; a box
/// that claims more than there is gets what there is.
pub(super) fn boxes(bytes: &[u8]) -> impl Iterator<Item = (FourCc, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (kind, header_len, size) = header(rest)?;
        let end = size
            .map_or(rest.len(), |s| usize::try_from(s).map_or(rest.len(), |s| s.min(rest.len())));
        let body = rest.get(header_len..end)?;
        rest = &rest[end..];
        Some((kind, body))
    })
}

/// What is in the first box of type `kind` inside `bytes`.
pub(super) fn find<'a>(bytes: &'a [u8], kind: &FourCc) -> Option<&'a [u8]> {
    boxes(bytes).find(|(k, _)| k == kind).map(|(_, body)| body)
}

/// As [`find`], from box to box inwards.
pub(super) fn find_path<'a>(bytes: &'a [u8], path: &[&FourCc]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, kind| find(bytes, kind))
}

/// Reads big-endian numbers one after the other; `None` once there are no more.
#[derive(Clone, Copy)]
pub(super) struct ByteReader<'a>(pub &'a [u8]);

impl<'a> ByteReader<'a> {
    pub fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub fn four_cc(&mut self) -> Option<FourCc> {
        self.array()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Version and flags, with which a "full box" begins.
    pub fn version_and_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some(((word >> 24) as u8, word & 0x00ff_ffff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_found_behind_others_and_inside_others() {
        let bytes = b"\0\0\0\x09freeX\0\0\0\x12moov\0\0\0\x0atrakab";
        assert_eq!(find_path(bytes, &[b"moov", b"trak"]), Some(&b"ab"[..]));
        assert_eq!(find(bytes, b"trak"), None);
    }

    #[test]
    fn sizes_that_cannot_be_end_the_search() {
        for bytes in [
            &b"\0\0\0\x07free\0\0\0\x08moov"[..],
            b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f\0\0\0\x08moov",
            b"\0\0\0\x01free\0\0",
            b"\0\0\0",
        ] {
            assert_eq!(find(bytes, b"moov"), None);
        }
        assert_eq!(find(b"\0\0\0\xffmoovab", b"moov"), Some(&b"ab"[..]));
        assert_eq!(find(b"\0\0\0\0moovab", b"moov"), Some(&b"ab"[..]));
    }
}
