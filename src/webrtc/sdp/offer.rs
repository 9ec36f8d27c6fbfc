//! Reading a viewer's offer.

use super::h264::{Payload, Refusal};
use super::section::{Direction, MediaSection};
use super::transport::{Credentials, Setup, Transport, TransportLines};
use super::{SdpError, attribute, lines, tidy};
use crate::media::h264::ProfileLevel;

/// m-lines looked at; a camera's viewer has one to three.
const MAX_SECTIONS: usize = 16;

/// A viewer's offer, read and found usable.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Every m-section, in order: the answer must mirror them (RFC 3264 §6).
    pub sections: Vec<MediaSection>,
    /// Which section the video is sent in.
    video: usize,
    /// Tags of the sections that share one transport (RFC 9143), in the viewer's order.
    bundle: Vec<String>,
    /// What holds for sections that say nothing else.
    session: TransportLines,
    /// The viewer answers connectivity checks and makes none (RFC 8445 §2.5).
    pub ice_lite: bool,
    /// Bytes of it.
    pub len: usize,
}

impl Offer {
    /// Reads an offer.
    ///
    /// # Errors
    /// When it is not a session description, or not one that asks this camera for video over
    /// DTLS-SRTP; with the line at fault.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let mut reader = Reader::default();
        for item in lines(&tidy(text)) {
            let (line, kind, value) = item?;
            reader.line(line, kind, value)?;
        }
        Ok(Self { len: text.len(), ..reader.finish()? })
    }

    /// The section the video is sent in: the first that can have it.
    #[must_use]
    pub fn video(&self) -> &MediaSection {
        &self.sections[self.video]
    }

    /// Settles which section gets the video, and as what, where `stream` is what is sent: the
    /// first that covers it.
    ///
    /// # Errors
    /// When none does; the reason is that of the first.
    pub fn settle(&mut self, stream: ProfileLevel) -> Result<Payload, Refusal> {
        self.settle_by(|section| section.payload(stream))
    }

    /// The same for a stream that is to be sent whether the viewer's H.264 covers it or not.
    ///
    /// # Errors
    /// When no section has H.264.
    pub fn settle_nearest(&mut self, stream: ProfileLevel) -> Result<Payload, Refusal> {
        self.settle_by(|section| section.nearest_payload(stream))
    }

    fn settle_by(
        &mut self,
        payload: impl Fn(&MediaSection) -> Result<Payload, Refusal>,
    ) -> Result<Payload, Refusal> {
        let mut refusal = None;
        for at in (0..self.sections.len()).filter(|at| self.is_usable(*at)) {
            match payload(&self.sections[at]) {
                Ok(payload) => {
                    self.video = at;
                    return Ok(payload);
                }
                // Another stream would do for a section that has H.264.
                Err(why) => refusal = refusal.filter(|r| *r != Refusal::NoH264).or(Some(why)),
            }
        }
        Err(refusal.unwrap_or(Refusal::NoH264))
    }

    fn is_usable(&self, at: usize) -> bool {
        self.sections[at].wants_video() && self.transport_of(at).is_ok()
    }

    /// The transport of the video.
    ///
    /// # Errors
    /// Never for an offer that was read: [`Offer::parse`] has looked.
    pub fn transport(&self) -> Result<Transport, SdpError> {
        self.transport_of(self.video)
    }

    /// The other transports that sections bundled with the video have before the answer tells the
    /// viewer to use one for all: whichever it then uses (RFC 9143 §7.3.1 says the first's).
    pub(in crate::webrtc) fn bundled_transports(&self) -> Vec<Transport> {
        let Ok(own) = self.transport() else { return Vec::new() };
        let mut others: Vec<Transport> = Vec::new();
        for at in (0..self.sections.len()).filter(|at| self.is_bundled(*at)) {
            let Ok(other) = self.transport_of(at) else { continue };
            let known = |t: &Transport| t.credentials == other.credentials;
            if !known(&own) && !others.iter().any(known) {
                others.push(other);
            }
        }
        others
    }

    /// What a section says of its transport itself, else what the description says for all, else
    /// what those say that share the transport: in a bundle, one says it for all.
    fn transport_of(&self, at: usize) -> Result<Transport, SdpError> {
        let section = &self.sections[at];
        let bundled = self.bundle.iter().filter(|_| self.bundle.contains(&section.mid));
        let bundled = bundled.filter_map(|mid| self.sections.iter().find(|s| s.mid == *mid));
        let said: Vec<&TransportLines> = [&section.transport, &self.session]
            .into_iter()
            .chain(bundled.map(|s| &s.transport))
            .collect();
        let missing = |what| SdpError::new(section.line, what);
        let credentials = said.iter().find_map(|t| t.credentials());
        let fingerprint = said.iter().find_map(|t| t.fingerprint.as_ref());
        Ok(Transport {
            credentials: credentials
                .ok_or_else(|| missing("a=ice-ufrag or a=ice-pwd is missing"))?
                .clone(),
            // Candidates belong to the credentials they came with.
            candidates: said
                .iter()
                .find(|t| !t.candidates.is_empty() && shares(t, credentials))
                .map(|t| t.candidates.clone())
                .unwrap_or_default(),
            fingerprint: fingerprint
                .ok_or_else(|| {
                    missing("a=fingerprint is missing, or uses no hash of sha-256 and sha-1")
                })?
                .clone(),
            // RFC 8842 §5.2: an offer should say actpass; old ones say nothing.
            setup: said.iter().find_map(|t| t.setup).unwrap_or(Setup::ActPass),
        })
    }

    /// Whether a section is taken up beside the video, unused: it shares the video's transport, and
    /// viewers who have put it there, perhaps before the video, do not part with it (a browser that
    /// was told to use one transport for everything fails if the first section is declined).
    pub(super) fn is_bundled(&self, at: usize) -> bool {
        let section = &self.sections[at];
        let bundled = |s: &MediaSection| s.tagged && self.bundle.contains(&s.mid);
        at == self.video && bundled(section)
            || bundled(section)
                && bundled(self.video())
                && !section.rejected
                && (section.is_data()
                    || section.is_rtp() && matches!(&section.kind[..], "audio" | "video"))
    }

    /// The tags of the answer's BUNDLE group; empty when there is none.
    #[must_use]
    pub fn answered_bundle(&self) -> Vec<&str> {
        let taken = |mid: &&String| {
            (0..self.sections.len()).any(|at| self.sections[at].mid == **mid && self.is_bundled(at))
        };
        self.bundle.iter().filter(taken).map(String::as_str).collect()
    }
}

/// Whether candidates of `said` belong to `credentials`: nothing else is said there.
fn shares(said: &TransportLines, credentials: Option<&Credentials>) -> bool {
    said.credentials().is_none() || said.credentials() == credentials
}

#[derive(Default)]
struct Reader {
    seen_version: bool,
    sections: Vec<MediaSection>,
    session: TransportLines,
    direction: Direction,
    bundle: Vec<String>,
    ice_lite: bool,
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
            'm' => {
                if self.sections.len() == MAX_SECTIONS {
                    return Err(SdpError::new(line, format!("more than {MAX_SECTIONS} m-lines")));
                }
                self.sections.push(MediaSection::new(line, value, self.direction)?);
            }
            'a' => self.attribute(line, value)?,
            _ => {}
        }
        Ok(())
    }

    fn attribute(&mut self, line: usize, value: &str) -> Result<(), SdpError> {
        let (name, value) = attribute(value);
        if let Some(section) = self.sections.last_mut() {
            return section.attribute(line, name, value);
        }
        match name {
            "group" => {
                let mut words = value.split(' ');
                // The first group is the one (RFC 9143 §7.2 allows no section in two).
                if words.next() == Some("BUNDLE") && self.bundle.is_empty() {
                    for mid in words.take(MAX_SECTIONS).filter(|mid| !mid.is_empty()) {
                        if !self.bundle.iter().any(|known| known == mid) {
                            self.bundle.push(mid.into());
                        }
                    }
                }
            }
            "ice-lite" => self.ice_lite = true,
            _ => {
                if let Some(direction) = Direction::named(name) {
                    self.direction = direction;
                } else {
                    self.session.attribute(line, name, value)?;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Offer, SdpError> {
        if !self.seen_version {
            return Err(SdpError::new(1, "a session description begins with v=0"));
        }
        for at in 0..self.sections.len() {
            let (before, section) = self.sections.split_at_mut(at);
            let section = &mut section[0];
            if section.tagged && before.iter().any(|s| s.tagged && s.mid == section.mid) {
                let problem = format!("the mid {} is given twice", section.mid);
                return Err(SdpError::new(section.line, problem));
            }
            if !section.tagged {
                section.mid = at.to_string();
            } else if section.bundle_only && self.bundle.contains(&section.mid) {
                section.rejected = false;
            }
        }
        let mut offer = Offer {
            sections: self.sections,
            video: 0,
            bundle: self.bundle,
            session: self.session,
            ice_lite: self.ice_lite,
            len: 0,
        };
        offer.video = offer.find_video()?;
        Ok(offer)
    }
}

impl Offer {
    /// The first section that can be sent H.264; else the one whose shortcoming is the least.
    fn find_video(&self) -> Result<usize, SdpError> {
        let all = 0..self.sections.len();
        let section = |at: &usize| &self.sections[*at];
        let mut usable = all.clone().filter(|at| section(at).wants_video());
        let with_h264 = usable.clone().find(|at| Payload::is_offered(&section(at).codecs));
        if let Some(at) = with_h264.or_else(|| usable.next()) {
            self.transport_of(at)?;
            return Ok(at);
        }
        let video = |at: &usize| section(at).kind == "video" && !section(at).rejected;
        let Some(at) = all.clone().find(|at| video(at) && section(at).is_rtp()) else {
            let line = self.sections.first().map_or(1, |s| s.line);
            return Err(SdpError::new(
                line,
                "the offer asks for no video: expected an m=video line with UDP/TLS/RTP/SAVPF",
            ));
        };
        let MediaSection { line, direction, .. } = section(&at);
        let problem = if direction.receives() {
            "the video is offered without a=rtcp-mux, and this camera has one port for RTP and RTCP"
                .into()
        } else {
            format!("the video is offered as {}; a viewer must offer recvonly", direction.name())
        };
        Err(SdpError::new(*line, problem))
    }
}
