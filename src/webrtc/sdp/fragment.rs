//! Trickle and restart fragments (`application/trickle-ice-sdpfrag`, RFC 8840 §9).

use str0m::Candidate;

use super::transport::{MAX_CANDIDATES, TransportLines};
use super::{Credentials, SdpError, attribute, lines, tidy};

/// What a WHEP `PATCH` carries.
#[derive(Debug, Clone)]
pub struct Fragment {
    /// Credentials: those of the running ICE session, or new ones, which ask for a restart. Those
    /// that hold for all sections, or each section's with its tag.
    credentials: Vec<(Option<String>, Credentials)>,
    /// Candidates that can be used.
    pub candidates: Vec<Candidate>,
    /// Bytes of it.
    pub len: usize,
}

/// One m-section of a fragment, or what comes before the first.
#[derive(Default)]
struct Part {
    mid: Option<String>,
    transport: TransportLines,
}

/// m-sections looked at.
const MAX_PARTS: usize = 16;

impl Fragment {
    /// Reads a fragment.
    ///
    /// # Errors
    /// When a line is malformed or the credentials come without each other.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let mut parts = vec![Part::default()];
        let mut last = 1;
        for item in lines(&tidy(text)) {
            let (line, kind, value) = item?;
            last = line;
            if kind == 'm' && parts.len() <= MAX_PARTS {
                parts.push(Part::default());
            }
            let Some(part) = parts.last_mut().filter(|_| kind == 'a') else { continue };
            match attribute(value) {
                ("mid", mid) => part.mid = Some(mid.into()),
                // Who the viewer is was settled by the offer.
                ("fingerprint" | "setup", _) => {}
                (name, value) => {
                    part.transport.attribute(line, name, value)?;
                }
            }
        }
        let mut fragment =
            Self { credentials: Vec::new(), candidates: Vec::new(), len: text.len() };
        for Part { mid, transport } in parts {
            match (transport.credentials(), &transport.credentials) {
                (Some(credentials), _) => fragment.credentials.push((mid, credentials.clone())),
                (None, half) if *half == Credentials::default() => {}
                (None, _) => {
                    let problem = "a=ice-ufrag and a=ice-pwd must come together";
                    return Err(SdpError::new(last, problem));
                }
            }
            fragment.candidates.extend(transport.candidates);
        }
        fragment.candidates.truncate(MAX_CANDIDATES);
        Ok(fragment)
    }

    /// The credentials for the section with the tag `mid`: its own, else those for all, else
    /// those of the first section, which holds a bundle's.
    #[must_use]
    pub fn credentials(&self, mid: &str) -> Option<&Credentials> {
        let of =
            |wanted: Option<&str>| self.credentials.iter().find(|(m, _)| m.as_deref() == wanted);
        let found = of(Some(mid)).or_else(|| of(None)).or_else(|| self.credentials.first());
        found.map(|(_, credentials)| credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_candidates_are_skipped_and_the_rest_taken() {
        let fragment = Fragment::parse(
            "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\n\
             a=mid:0\r\na=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host\r\n\
             a=candidate:2 1 tcp 1 192.0.2.7 9 typ host tcptype active\r\n\
             a=candidate:3 1 udp 1 4f7c.local 50001 typ host\r\n\
             a=candidate:4 2 udp 1 192.0.2.7 50002 typ host\r\n\
             a=candidate:nonsense\r\n\
             a=candidate:5 1 udp 1 2001:db8::1 50003 typ host\r\na=end-of-candidates\r\n",
        )
        .unwrap();
        let addresses: Vec<String> =
            fragment.candidates.iter().map(|c| c.addr().to_string()).collect();
        assert_eq!(addresses, ["192.0.2.7:50000", "[2001:db8::1]:50003"]);
        assert_eq!(fragment.credentials("0").unwrap().ufrag, "abcd");
    }

    #[test]
    fn each_section_has_credentials_of_its_own_or_those_of_all() {
        let section = |mid: &str, ufrag: &str| {
            format!(
                "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid} \r\na=ice-ufrag:{ufrag}\r\n\
                 a=ice-pwd:0123456789012345678901\r\n"
            )
        };
        let ufrag = |text: &str, mid: &str| {
            Fragment::parse(text).unwrap().credentials(mid).map(|c| c.ufrag.clone())
        };
        let two = section("a", "aaaa") + &section("v", "vvvv");
        assert_eq!(ufrag(&two, "v").unwrap(), "vvvv");
        assert_eq!(ufrag(&two, "a").unwrap(), "aaaa");
        assert_eq!(ufrag(&two, "x").unwrap(), "aaaa");
        let all = "a=ice-ufrag:ssss\na=ice-pwd:0123456789012345678901\nm=audio 9 X 0\na=mid:a\n";
        assert_eq!(ufrag(all, "v").unwrap(), "ssss");
        assert_eq!(ufrag("m=video 9 X 0\na=mid:v\n", "v"), None);
    }

    #[test]
    fn half_a_pair_of_credentials_is_an_error() {
        let error = Fragment::parse("a=ice-ufrag:abcd\r\n").unwrap_err();
        assert_eq!(error.to_string(), "line 1: a=ice-ufrag and a=ice-pwd must come together");
        assert!(Fragment::parse("hello").is_err());
    }
}
