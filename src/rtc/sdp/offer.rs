//! Reading a viewer's offer.

use str0m::Candidate;

use super::h264::{Payload, RemoteCodec};
use super::{
    Credentials, MAX_CANDIDATES, SdpError, attribute, lines, read_candidate, read_credential,
};

/// m-lines looked at; a camera's viewer has one or two.
const MAX_SECTIONS: usize = 16;

/// A viewer's offer, read and found usable.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Every m-section, in order: the answer must mirror them (RFC 3264 §6).
    pub sections: Vec<MediaSection>,
    /// Which section asks for video.
    pub video: usize,
    /// The viewer's ICE credentials.
    pub credentials: Credentials,
    /// The viewer's candidates that can be used.
    pub candidates: Vec<Candidate>,
    /// Certificate fingerprint, as "sha-256 AA:BB:…".
    pub fingerprint: String,
    /// DTLS role the viewer offers.
    pub setup: Setup,
}

/// One m-section.
#[derive(Debug, Clone)]
pub struct MediaSection {
    /// "audio", "video", "application" …
    pub kind: String,
    /// "UDP/TLS/RTP/SAVPF" …
    pub protocol: String,
    /// The formats of the m-line, for the mirror in a rejection.
    pub formats: String,
    /// The section's identification tag (RFC 5888).
    pub mid: String,
    /// What the viewer wants to do.
    pub direction: Direction,
    /// Offered with port 0 and outside a bundle: already rejected by the viewer.
    pub rejected: bool,
    /// H.264 codecs, in the viewer's order of preference.
    pub(super) codecs: Vec<RemoteCodec>,
    /// Header extensions the viewer understands, of those Picket writes.
    pub extensions: ExtensionIds,
    line: usize,
}

/// The `a=setup` of RFC 5763.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Either role.
    ActPass,
    /// The viewer will begin the handshake.
    Active,
    /// The viewer waits for the handshake.
    Passive,
}

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
}

/// Numbers the viewer gave to the RTP header extensions (RFC 8285) that Picket writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtensionIds {
    /// Playout delay limits.
    pub playout_delay: Option<u8>,
    /// Absolute send time, from which the viewer estimates its bandwidth.
    pub abs_send_time: Option<u8>,
}

/// URI of the playout-delay extension.
pub(super) const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
/// URI of the absolute-send-time extension.
pub(super) const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";

impl Offer {
    /// Reads an offer.
    ///
    /// # Errors
    /// When it is not a session description, or not one that asks this camera for video over
    /// DTLS-SRTP; with the line at fault.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let mut reader = Reader::default();
        for item in lines(text) {
            let (line, kind, value) = item?;
            reader.line(line, kind, value)?;
        }
        reader.finish()
    }

    /// The video section.
    #[must_use]
    pub fn video(&self) -> &MediaSection {
        &self.sections[self.video]
    }
}

#[derive(Default)]
struct Reader {
    seen_version: bool,
    sections: Vec<MediaSection>,
    /// Session-level values, and those of the video section once it has begun, which win.
    credentials: Credentials,
    candidates: Vec<Candidate>,
    fingerprint: Option<String>,
    setup: Option<Setup>,
    session_direction: Direction,
    bundle: Vec<String>,
    /// The section whose transport is read: the first that is not rejected.
    transport: Option<usize>,
}

impl Reader {
    fn line(&mut self, line: usize, kind: char, value: &str) -> Result<(), SdpError> {
        match kind {
            'v' => {
                if value != "0" {
                    return Err(SdpError::new(line, "only version 0 of SDP exists: expected v=0"));
                }
                self.seen_version = true;
            }
            _ if !self.seen_version => {
                return Err(SdpError::new(line, "a session description begins with v=0"));
            }
            'm' => self.media_line(line, value)?,
            'a' => self.attribute(line, value)?,
            _ => {}
        }
        Ok(())
    }

    fn media_line(&mut self, line: usize, value: &str) -> Result<(), SdpError> {
        if self.sections.len() == MAX_SECTIONS {
            return Err(SdpError::new(line, format!("more than {MAX_SECTIONS} m-lines")));
        }
        let bad = || SdpError::new(line, "expected m=<media> <port> <protocol> <formats>");
        let mut words = value.splitn(4, ' ');
        let (Some(kind), Some(port), Some(protocol), Some(formats)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad());
        };
        let port: u16 = port.split('/').next().unwrap_or("").parse().map_err(|_| bad())?;
        let token = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic());
        if ![kind, protocol].into_iter().all(token) || !formats.split(' ').all(token) {
            return Err(bad());
        }
        self.sections.push(MediaSection {
            kind: kind.into(),
            protocol: protocol.into(),
            formats: formats.into(),
            mid: String::new(),
            direction: self.session_direction,
            rejected: port == 0,
            codecs: RemoteCodec::list(formats),
            extensions: ExtensionIds::default(),
            line,
        });
        Ok(())
    }

    fn attribute(&mut self, line: usize, value: &str) -> Result<(), SdpError> {
        let (name, value) = attribute(value);
        let here = self.sections.len().checked_sub(1);
        // Under BUNDLE all sections share the transport of the first accepted one.
        let transport = here.is_none() || self.transport.is_none() || self.transport == here;
        match name {
            "ice-ufrag" | "ice-pwd" if transport => {
                read_credential(&mut self.credentials, line, name, value)?;
                self.transport = self.transport.or(here);
            }
            "fingerprint" if transport => self.fingerprint(line, value)?,
            "setup" if transport => self.setup = Some(read_setup(line, value)?),
            "candidate" if self.candidates.len() < MAX_CANDIDATES => {
                self.candidates.extend(read_candidate(value));
            }
            "group" => {
                if let Some(mids) = value.strip_prefix("BUNDLE") {
                    self.bundle =
                        mids.split_whitespace().take(MAX_SECTIONS).map(Into::into).collect();
                }
            }
            _ => {
                if let Some(direction) = Direction::named(name) {
                    match self.sections.last_mut() {
                        Some(section) => section.direction = direction,
                        None => self.session_direction = direction,
                    }
                } else if let Some(section) = self.sections.last_mut() {
                    section.attribute(line, name, value)?;
                }
            }
        }
        Ok(())
    }

    /// RFC 8122 §5. Only what can be compared is kept.
    fn fingerprint(&mut self, line: usize, value: &str) -> Result<(), SdpError> {
        let (hash, digits) = value.split_once(' ').unwrap_or((value, ""));
        let hash = hash.to_ascii_lowercase();
        let bytes = match hash.as_str() {
            "sha-256" => 32,
            "sha-1" => 20,
            // An offer may list several; the ones we cannot check do not count.
            _ => return Ok(()),
        };
        let well_formed = digits.split(':').count() == bytes
            && digits.split(':').all(|b| b.len() == 2 && b.bytes().all(|c| c.is_ascii_hexdigit()));
        if !well_formed {
            return Err(SdpError::new(
                line,
                format!("a {hash} fingerprint is {bytes} hexadecimal bytes with colons between"),
            ));
        }
        if hash == "sha-256" || self.fingerprint.is_none() {
            self.fingerprint = Some(format!("{hash} {}", digits.to_ascii_uppercase()));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Offer, SdpError> {
        if !self.seen_version {
            return Err(SdpError::new(1, "a session description begins with v=0"));
        }
        for (i, section) in self.sections.iter_mut().enumerate() {
            if section.mid.is_empty() {
                section.mid = i.to_string();
            }
            if self.bundle.contains(&section.mid) {
                section.rejected = false;
            }
        }
        let wanted = |s: &MediaSection| {
            s.kind == "video" && !s.rejected && s.protocol.ends_with("TLS/RTP/SAVPF")
        };
        let Some(video) = self.sections.iter().position(wanted) else {
            let line = self.sections.first().map_or(1, |s| s.line);
            return Err(SdpError::new(
                line,
                "the offer asks for no video: expected an m=video line with UDP/TLS/RTP/SAVPF",
            ));
        };
        let section = &self.sections[video];
        if !matches!(section.direction, Direction::RecvOnly | Direction::SendRecv) {
            return Err(SdpError::new(
                section.line,
                format!(
                    "the video is offered as {}; a viewer must offer recvonly",
                    section.direction.name()
                ),
            ));
        }
        let at = section.line;
        if self.credentials.ufrag.is_empty() || self.credentials.pwd.is_empty() {
            return Err(SdpError::new(at, "a=ice-ufrag or a=ice-pwd is missing"));
        }
        let fingerprint = self.fingerprint.ok_or_else(|| {
            SdpError::new(at, "a=fingerprint is missing, or uses no hash of sha-256 and sha-1")
        })?;
        Ok(Offer {
            video,
            credentials: self.credentials,
            candidates: self.candidates,
            fingerprint,
            // RFC 8842 §5.2: an offer should say actpass; old ones say nothing.
            setup: self.setup.unwrap_or(Setup::ActPass),
            sections: self.sections,
        })
    }
}

impl MediaSection {
    fn attribute(&mut self, line: usize, name: &str, value: &str) -> Result<(), SdpError> {
        match name {
            "mid" => {
                let token = |b: u8| b.is_ascii_graphic() && b != b':';
                if value.is_empty() || value.len() > 32 || !value.bytes().all(token) {
                    return Err(SdpError::new(line, "a mid is 1 to 32 visible characters"));
                }
                self.mid = value.into();
            }
            "extmap" => {
                let (id, uri) = value.split_once(' ').unwrap_or((value, ""));
                let id = id.split('/').next().unwrap_or("").parse().unwrap_or(0);
                let slot = match uri.split(' ').next() {
                    Some(PLAYOUT_DELAY) => &mut self.extensions.playout_delay,
                    Some(ABS_SEND_TIME) => &mut self.extensions.abs_send_time,
                    _ => return Ok(()),
                };
                // Only the one-byte form of RFC 8285 is written, whose numbers end at 14.
                *slot = (1..=14).contains(&id).then_some(id);
            }
            "rtpmap" | "fmtp" | "rtcp-fb" => RemoteCodec::attribute(&mut self.codecs, name, value),
            _ => {}
        }
        Ok(())
    }

    /// The payload type to send a stream described by `stream` with.
    ///
    /// # Errors
    /// When the viewer offers no H.264 that covers the stream.
    pub fn payload(
        &self,
        stream: crate::media::h264::ProfileLevel,
    ) -> Result<Payload, super::Refusal> {
        Payload::choose(&self.codecs, stream)
    }
}

fn read_setup(line: usize, value: &str) -> Result<Setup, SdpError> {
    match value {
        "actpass" => Ok(Setup::ActPass),
        "active" => Ok(Setup::Active),
        "passive" => Ok(Setup::Passive),
        _ => Err(SdpError::new(line, "a=setup must be actpass, active or passive")),
    }
}
