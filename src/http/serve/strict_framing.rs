//! Requests that two readers might take for different ones.
//!
//! The HTTP library reads some heads more kindly than RFC 9112 asks: a bare LF ends a line, and
//! a `Content-Length` beside `Transfer-Encoding` is dropped in silence. A proxy in front may read
//! the same bytes differently, and then one client's request becomes part of another's (request
//! smuggling). [`StrictFraming`] watches the bytes on their way and, where a head is such, puts a
//! NUL in them, which the library answers with 400 and a closed connection. That the library
//! cannot be had to do it by itself is in docs/decisions/http-parsing.md.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose heads are watched.
pub(super) struct StrictFraming<S> {
    inner: S,
    check: FramingCheck,
}

impl<S> StrictFraming<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, check: FramingCheck::default() }
    }
}

/// Follows the messages on a connection.
#[derive(Debug, Default)]
struct FramingCheck {
    position: Position,
    head: Head,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Position {
    /// Inside a head.
    #[default]
    Head,
    /// Inside a body with so many bytes to come.
    Body(u64),
    /// Inside a chunked body, which the library reads strictly by itself. The connection ends
    /// with the request, so that nothing needs to know where the next would begin.
    Chunked,
    /// Past a malformed head.
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
struct Malformed;

/// Longest part of a line that is kept; the framing fields are short.
const MAX_KEPT: usize = 128;

impl FramingCheck {
    /// Looks at bytes, and breaks them where a head is malformed.
    fn pass(&mut self, bytes: &mut [u8]) {
        let mut i = 0;
        while i < bytes.len() {
            match &mut self.position {
                Position::Head => {
                    match self.head.pass(bytes[i]) {
                        Ok(None) => {}
                        Ok(Some(next)) => {
                            self.position = next;
                            self.head = Head::default();
                        }
                        Err(Malformed) => {
                            bytes[i] = 0;
                            self.position = Position::Refused;
                        }
                    }
                    i += 1;
                }
                Position::Body(left) => {
                    let here = (bytes.len() - i) as u64;
                    let take = here.min(*left);
                    *left -= take;
                    i += take as usize;
                    if *left == 0 {
                        self.position = Position::Head;
                    }
                }
                Position::Chunked | Position::Refused => return,
            }
        }
    }
}

impl Head {
    /// Takes a byte; at the end of the head, says what follows it.
    fn pass(&mut self, byte: u8) -> Result<Option<Position>, Malformed> {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match (byte, after_cr) {
            (b'\n', true) => self.line_end(),
            // A bare LF, or a CR inside a line (RFC 9112 §2.2).
            (b'\n', false) | (_, true) => Err(Malformed),
            (b'\r', false) => Ok(None),
            _ => {
                if self.line.len() < MAX_KEPT {
                    self.line.push(byte);
                }
                Ok(None)
            }
        }
    }

    fn line_end(&mut self) -> Result<Option<Position>, Malformed> {
        let line = std::mem::take(&mut self.line);
        if !self.begun {
            // Empty lines before the request line are let pass (RFC 9112 §2.2).
            self.begun = !line.is_empty();
            return Ok(None);
        }
        if line.is_empty() {
            return Ok(Some(match (self.chunked, self.length) {
                (true, _) => Position::Chunked,
                (false, None | Some(0)) => Position::Head,
                (false, Some(length)) => Position::Body(length),
            }));
        }
        self.field(&line)?;
        Ok(None)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Malformed> {
        // A line that begins with a space continues the one before (obs-fold, §5.2), and a space
        // before the colon is read in two ways (§5.1).
        let colon = line.iter().position(|b| *b == b':').ok_or(Malformed)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || name.iter().any(|b| !b.is_ascii_graphic()) {
            return Err(Malformed);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = (1..=15).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
            if !digits || self.length.is_some() || self.chunked {
                return Err(Malformed);
            }
            self.length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || self.length.is_some() || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed);
            }
            self.chunked = true;
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StrictFraming<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.check.pass(&mut buffer.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StrictFraming<S> {
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
    use std::convert::Infallible;

    use axum::http::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Whether the bytes get through as they are, however they are cut.
    fn passes(bytes: &str) -> bool {
        let mut whole = bytes.as_bytes().to_vec();
        FramingCheck::default().pass(&mut whole);
        let mut check = FramingCheck::default();
        let mut single = bytes.as_bytes().to_vec();
        single.chunks_mut(1).for_each(|byte| check.pass(byte));
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

    fn get(fields: &str) -> String {
        format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    }

    /// Whether the HTTP library takes a request that nobody has checked.
    async fn library_takes(request: &str) -> bool {
        let (mut client, server) = tokio::io::duplex(4096);
        let service = service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
        let serving = http1::Builder::new().serve_connection(TokioIo::new(server), service);
        let serving = tokio::spawn(serving);
        client.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).await.unwrap();
        drop(client);
        let _ = serving.await;
        status == *b"HTTP/1.1 200"
    }

    /// Where this fails, the library has learned something: see docs/decisions/http-parsing.md.
    #[tokio::test]
    async fn the_library_alone_takes_heads_that_can_be_read_in_two_ways() {
        for fields in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "X: a\n",
        ] {
            assert!(library_takes(&get(fields)).await, "{fields:?}");
        }
    }

    #[test]
    fn heads_that_can_be_read_in_two_ways_are_broken() {
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
