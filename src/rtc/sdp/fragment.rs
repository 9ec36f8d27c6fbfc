//! Trickle and restart fragments (`application/trickle-ice-sdpfrag`, RFC 8840 §9).

use str0m::Candidate;

use super::{
    Credentials, MAX_CANDIDATES, SdpError, attribute, lines, read_candidate, read_credential,
};

/// What a WHEP `PATCH` carries.
#[derive(Debug, Clone)]
pub struct Fragment {
    /// Credentials: those of the running ICE session, or new ones, which ask for a restart.
    pub credentials: Option<Credentials>,
    /// Candidates that can be used.
    pub candidates: Vec<Candidate>,
}

impl Fragment {
    /// Reads a fragment.
    ///
    /// # Errors
    /// When a line is malformed or the credentials come without each other.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let mut credentials = Credentials::default();
        let mut candidates = Vec::new();
        let mut last = 1;
        for item in lines(text) {
            let (line, kind, value) = item?;
            last = line;
            match (kind, attribute(value)) {
                ('a', (name @ ("ice-ufrag" | "ice-pwd"), value)) => {
                    read_credential(&mut credentials, line, name, value)?;
                }
                ('a', ("candidate", value)) if candidates.len() < MAX_CANDIDATES => {
                    candidates.extend(read_candidate(value));
                }
                _ => {}
            }
        }
        let credentials = match (credentials.ufrag.is_empty(), credentials.pwd.is_empty()) {
            (true, true) => None,
            (false, false) => Some(credentials),
            _ => {
                let problem = "a=ice-ufrag and a=ice-pwd must come together";
                return Err(SdpError::new(last, problem));
            }
        };
        Ok(Self { credentials, candidates })
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
        assert_eq!(fragment.credentials.unwrap().ufrag, "abcd");
    }

    #[test]
    fn half_a_pair_of_credentials_is_an_error() {
        let error = Fragment::parse("a=ice-ufrag:abcd\r\n").unwrap_err();
        assert_eq!(error.to_string(), "line 1: a=ice-ufrag and a=ice-pwd must come together");
        assert!(Fragment::parse("hello").is_err());
    }
}
