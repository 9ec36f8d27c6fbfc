//! Requests that two readers might take for different ones.
//!
//! The HTTP library reads some heads more kindly than RFC 9112 asks: a bare LF ends a line, and
//! a `Content-Length` beside `Transfer-Encoding` is dropped in silence. A proxy in front may read
//! the same bytes differently, and then one client's request becomes part of another's (request
//! smuggling). [`Strict`] watches the bytes on their way and, where a head is such, puts a NUL in
//! them, which the library answers with 400 and a closed connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose heads are watched.
pub(super) struct Strict<S> {
    inner: S,
    watch: Watch,
}

impl<S> Strict<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, watch: Watch::default() }
    }
}

/// Follows the messages on a connection.
#[derive(Debug, Default)]
struct Watch {
    at: At,
    head: Head,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum At {
    /// Inside a head.
    #[default]
    Head,
    /// Inside a body with so many bytes to come.
    Body(u64),
    /// Inside a chunked body, which the library reads strictly by itself. The connection ends
    /// with the request, so that nothing needs to know where the next would begin.
    Chunked,
    /// Past an offence.
    Refused,
}

/// A head so far.
#[derive(Debug, Default)]
struct Head {
    /// The line under way, up to what is worth looking at.
    line: Vec<u8>,
    after_cr: bool,
    /// The request line is behind.
    begun: bool,
    length: Option<u64>,
    chunked: bool,
}

/// Not a head that everybody reads alike.
struct Offence;

/// Longest part of a line that is kept; the framing fields are short.
const MAX_KEPT: usize = 128;

impl Watch {
    /// Looks at bytes, and breaks them at the first offence.
    fn pass(&mut self, bytes: &mut [u8]) {
        let mut i = 0;
        while i < bytes.len() {
            match &mut self.at {
                At::Head => {
                    match self.head.pass(bytes[i]) {
                        Ok(None) => {}
                        Ok(Some(next)) => {
                            self.at = next;
                            self.head = Head::default();
                        }
                        Err(Offence) => {
                            bytes[i] = 0;
                            self.at = At::Refused;
                        }
                    }
                    i += 1;
                }
                At::Body(left) => {
                    let here = (bytes.len() - i) as u64;
                    let take = here.min(*left);
                    *left -= take;
                    i += take as usize;
                    if *left == 0 {
                        self.at = At::Head;
                    }
                }
                At::Chunked | At::Refused => return,
            }
        }
    }
}

impl Head {
    /// Takes a byte; at the end of the head, says what follows it.
    fn pass(&mut self, byte: u8) -> Result<Option<At>, Offence> {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match (byte, after_cr) {
            (b'\n', true) => self.line_end(),
            // A bare LF, or a CR inside a line (RFC 9112 §2.2).
            (b'\n', false) | (_, true) => Err(Offence),
            (b'\r', false) => Ok(None),
            _ => {
                if self.line.len() < MAX_KEPT {
                    self.line.push(byte);
                }
                Ok(None)
            }
        }
    }

    fn line_end(&mut self) -> Result<Option<At>, Offence> {
        let line = std::mem::take(&mut self.line);
        if !self.begun {
            // Empty lines before the request line are let pass (RFC 9112 §2.2).
            self.begun = !line.is_empty();
            return Ok(None);
        }
        if line.is_empty() {
            return Ok(Some(match (self.chunked, self.length) {
                (true, _) => At::Chunked,
                (false, None | Some(0)) => At::Head,
                (false, Some(length)) => At::Body(length),
            }));
        }
        self.field(&line)?;
        Ok(None)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Offence> {
        // A line that begins with a space continues the one before (obs-fold, §5.2), and a space
        // before the colon is read in two ways (§5.1).
        let colon = line.iter().position(|b| *b == b':').ok_or(Offence)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || name.iter().any(|b| !b.is_ascii_graphic()) {
            return Err(Offence);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = (1..=15).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
            if !digits || self.length.is_some() || self.chunked {
                return Err(Offence);
            }
            self.length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || self.length.is_some() || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Offence);
            }
            self.chunked = true;
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.watch.pass(&mut buffer.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the bytes get through as they are, however they are cut.
    fn passes(bytes: &str) -> bool {
        let mut whole = bytes.as_bytes().to_vec();
        Watch::default().pass(&mut whole);
        let mut watch = Watch::default();
        let mut single = bytes.as_bytes().to_vec();
        single.chunks_mut(1).for_each(|byte| watch.pass(byte));
        assert_eq!(whole, single);
        whole == bytes.as_bytes()
    }

    #[test]
    fn plain_requests_pass_one_after_the_other() {
        assert!(passes("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(passes(
            "\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na\nbGET / HTTP/1.1\r\nX:\r\n\r\n"
        ));
        assert!(passes("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"));
    }

    #[test]
    fn heads_that_can_be_read_in_two_ways_are_broken() {
        let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        for fields in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Content-Length: 3, 3\r\n",
            "Content-Length: +3\r\n",
            "Content-Length: 0x3\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "X: a\r\n b\r\n",
            "X: a\n",
            "X: a\rb\r\n",
            "no colon\r\n",
            ": empty\r\n",
        ] {
            assert!(!passes(&get(fields)), "{fields:?}");
        }
        assert!(!passes("GET / HTTP/1.1\nHost: a\n\n"));
    }

    #[test]
    fn a_second_request_is_watched_as_well() {
        assert!(!passes(
            "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\nHost: a\n\n"
        ));
    }
}
