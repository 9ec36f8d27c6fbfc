//! One m-section of a viewer's offer.

use super::h264::{Payload, Refusal, RemoteCodec};
use super::transport::TransportLines;
use super::{SdpError, token};
use crate::media::h264::{ProfileLevel, Suits};
use crate::rtp::HeaderExtensions;

/// Direction of media, seen from whoever says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    /// The W3C and SDP name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The direction called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|d| d.name() == name)
    }

    /// Whether who says it wants to receive.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// URI of the playout-delay extension.
pub(super) const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
/// URI of the absolute-send-time extension.
pub(super) const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";

/// One m-section.
#[derive(Debug, Clone)]
pub struct MediaSection {
    /// "audio", "video", "application" …
    pub kind: String,
    /// "UDP/TLS/RTP/SAVPF" …
    pub protocol: String,
    /// The formats of the m-line, for the mirror in the answer.
    pub formats: String,
    /// The section's identification tag (RFC 5888); its place in the offer where it has none.
    pub mid: String,
    /// Whether the viewer gave it that tag.
    pub(super) tagged: bool,
    /// What the viewer wants to do.
    pub direction: Direction,
    /// Offered with port 0: rejected by the viewer, unless it says that it means the bundle's port.
    pub rejected: bool,
    /// `a=bundle-only` (RFC 9143 §6).
    pub(super) bundle_only: bool,
    /// Whether RTP and RTCP share a port (RFC 5761).
    pub(super) rtcp_mux: bool,
    /// The codecs, in the viewer's order of preference.
    pub(super) codecs: Vec<RemoteCodec>,
    /// Header extensions the viewer understands, of those Picket writes.
    pub extensions: HeaderExtensions,
    pub(super) transport: TransportLines,
    /// Lines that describe formats and a data channel's association, for the mirror in the answer.
    described: Vec<(Described, String)>,
    pub(super) line: usize,
}

/// The attributes whose lines are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Described {
    Rtpmap,
    Fmtp,
    SctpPort,
    SctpMap,
}

impl Described {
    const ALL: [Self; 4] = [Self::Rtpmap, Self::Fmtp, Self::SctpPort, Self::SctpMap];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rtpmap => "rtpmap",
            Self::Fmtp => "fmtp",
            Self::SctpPort => "sctp-port",
            Self::SctpMap => "sctpmap",
        }
    }
}

impl MediaSection {
    /// Reads what follows `m=`.
    pub(super) fn new(line: usize, value: &str, direction: Direction) -> Result<Self, SdpError> {
        let bad = || SdpError::new(line, "expected m=<media> <port> <protocol> <formats>");
        let mut words = value.split(' ').filter(|word| !word.is_empty());
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
        else {
            return Err(bad());
        };
        let formats: Vec<&str> = words.collect();
        let port: u16 = port.split('/').next().unwrap_or("").parse().map_err(|_| bad())?;
        if formats.is_empty() || ![kind, protocol].iter().chain(&formats).all(|s| token(s)) {
            return Err(bad());
        }
        let formats = formats.join(" ");
        Ok(Self {
            kind: kind.into(),
            protocol: protocol.into(),
            mid: String::new(),
            tagged: false,
            direction,
            rejected: port == 0,
            bundle_only: false,
            rtcp_mux: false,
            codecs: RemoteCodec::list(&formats),
            formats,
            extensions: HeaderExtensions::default(),
            transport: TransportLines::default(),
            described: Vec::new(),
            line,
        })
    }

    /// Takes in an attribute.
    pub(super) fn attribute(
        &mut self,
        line: usize,
        name: &str,
        value: &str,
    ) -> Result<(), SdpError> {
        if let Some(direction) = Direction::named(name) {
            self.direction = direction;
            return Ok(());
        }
        if self.transport.attribute(line, name, value)? {
            return Ok(());
        }
        match name {
            "mid" => {
                if value.len() > 32 || !token(value) || value.contains(':') {
                    return Err(SdpError::new(line, "a mid is 1 to 32 visible characters"));
                }
                self.mid = value.into();
                self.tagged = true;
            }
            "rtcp-mux" | "rtcp-mux-only" => self.rtcp_mux = true,
            "bundle-only" => self.bundle_only = true,
            "extmap" => self.extmap(value),
            "rtpmap" | "fmtp" | "rtcp-fb" => RemoteCodec::attribute(&mut self.codecs, name, value),
            _ => {}
        }
        let kept = Described::ALL.into_iter().find(|kept| kept.name() == name);
        // It goes into the answer, where a control character has no place.
        if let Some(kept) = kept.filter(|_| !value.chars().any(char::is_control)) {
            self.described.push((kept, value.into()));
        }
        Ok(())
    }

    fn extmap(&mut self, value: &str) {
        let (id, uri) = value.split_once(' ').unwrap_or((value, ""));
        let id = id.split('/').next().unwrap_or("").parse().unwrap_or(0);
        let slot = match uri.split(' ').next() {
            Some(PLAYOUT_DELAY) => &mut self.extensions.playout_delay,
            Some(ABS_SEND_TIME) => &mut self.extensions.abs_send_time,
            _ => return,
        };
        // Only the one-byte form of RFC 8285 is written, whose numbers end at 14.
        *slot = (1..=14).contains(&id).then_some(id);
    }

    /// Whether it carries RTP under DTLS. Old and hasty clients leave the security out of the
    /// protocol's name; the fingerprint, which must be there, says it (RFC 8829 §5.1.2).
    pub(super) fn is_rtp(&self) -> bool {
        let protocol = self.protocol.to_ascii_uppercase();
        let (transport, profile) = protocol.rsplit_once("RTP/").unwrap_or(("", ""));
        matches!(profile, "SAVPF" | "SAVP" | "AVPF" | "AVP")
            && matches!(transport, "" | "UDP/TLS/" | "TCP/TLS/" | "TCP/DTLS/")
    }

    /// Whether it carries data channels (RFC 8841).
    pub(super) fn is_data(&self) -> bool {
        self.kind == "application" && self.protocol.to_ascii_uppercase().ends_with("DTLS/SCTP")
    }

    /// Whether it asks for video that could be sent to it.
    pub(super) fn wants_video(&self) -> bool {
        self.kind == "video"
            && !self.rejected
            && self.is_rtp()
            && self.direction.receives()
            // There is one port for both (RFC 8834 §4.5).
            && self.rtcp_mux
    }

    /// The payload type to send a stream described by `stream` with.
    ///
    /// # Errors
    /// When the viewer offers no H.264 that covers the stream.
    pub fn payload(&self, stream: ProfileLevel) -> Result<Payload, Refusal> {
        Payload::choose(&self.codecs, stream, Suits::InPractice)
    }

    /// The same for a stream that is to be sent whether the viewer's H.264 covers it or not.
    ///
    /// # Errors
    /// When the viewer offers no H.264.
    pub fn nearest_payload(&self, stream: ProfileLevel) -> Result<Payload, Refusal> {
        Payload::choose(&self.codecs, stream, Suits::No)
    }

    /// The formats of an answer that takes the section up without using it, and the lines that
    /// describe them: the first codec with a description, or all there is.
    pub(super) fn unused_formats(&self) -> (&str, impl Iterator<Item = (Described, &str)>) {
        let of = |value: &str| value.split(' ').next().unwrap_or_default().to_owned();
        let is_described = |format: &&str| {
            self.described.iter().any(|(kept, v)| *kept == Described::Rtpmap && of(v) == *format)
        };
        let format = self.formats.split(' ').find(is_described).filter(|_| self.is_rtp());
        let lines = self.described.iter().filter(move |(kept, value)| match kept {
            Described::Rtpmap | Described::Fmtp => format == Some(of(value).as_str()),
            Described::SctpPort | Described::SctpMap => self.is_data(),
        });
        let lines = lines.map(|(kept, value)| (*kept, value.as_str()));
        (format.unwrap_or(&self.formats), lines)
    }
}
