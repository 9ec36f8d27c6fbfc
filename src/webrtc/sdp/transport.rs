//! The transport of an m-section: where its viewer is and how the connection is secured.

use str0m::Candidate;

use super::SdpError;

/// Candidates taken from one m-section; more say nothing new and cost pairs to check.
pub(super) const MAX_CANDIDATES: usize = 32;

/// ICE username fragment and password (RFC 8839 §5.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// 4 to 256 ice-chars.
    pub ufrag: String,
    /// 22 to 256 ice-chars.
    pub pwd: String,
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

impl Setup {
    /// The word in SDP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }

    /// What Picket answers: the viewer begins the handshake where it may, which saves a round trip.
    #[must_use]
    pub const fn answered(self) -> Self {
        match self {
            Self::ActPass | Self::Active => Self::Passive,
            Self::Passive => Self::Active,
        }
    }
}

/// A viewer's transport, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// Its ICE credentials.
    pub credentials: Credentials,
    /// Its candidates that can be used.
    pub candidates: Vec<Candidate>,
    /// Certificate fingerprint, as "sha-256 AA:BB:…".
    pub fingerprint: String,
    /// DTLS role it offers.
    pub setup: Setup,
}

/// What one part of a description says of its transport; the rest is said elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct TransportLines {
    pub(super) credentials: Credentials,
    pub(super) candidates: Vec<Candidate>,
    pub(super) fingerprint: Option<String>,
    pub(super) setup: Option<Setup>,
}

impl TransportLines {
    /// Takes in an attribute; false when it is none of a transport's.
    pub(super) fn attribute(
        &mut self,
        line: usize,
        name: &str,
        value: &str,
    ) -> Result<bool, SdpError> {
        match name {
            "ice-ufrag" => read_credential(&mut self.credentials.ufrag, line, name, value, 4)?,
            "ice-pwd" => read_credential(&mut self.credentials.pwd, line, name, value, 22)?,
            "candidate" if self.candidates.len() < MAX_CANDIDATES => {
                self.candidates.extend(read_candidate(value));
            }
            "candidate" => {}
            "fingerprint" => self.read_fingerprint(line, value)?,
            "setup" => self.setup = read_setup(line, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The credentials, where both halves are there.
    pub(super) fn credentials(&self) -> Option<&Credentials> {
        let Credentials { ufrag, pwd } = &self.credentials;
        (!ufrag.is_empty() && !pwd.is_empty()).then_some(&self.credentials)
    }

    /// RFC 8122 §5. Only what can be compared is kept.
    fn read_fingerprint(&mut self, line: usize, value: &str) -> Result<(), SdpError> {
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
}

/// Reads `a=ice-ufrag` or `a=ice-pwd` into its place. Checked strictly, because the text goes
/// into descriptions of our own and into STUN.
fn read_credential(
    into: &mut String,
    line: usize,
    name: &str,
    value: &str,
    least: usize,
) -> Result<(), SdpError> {
    let ice_char = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    if !(least..=256).contains(&value.len()) || !value.bytes().all(ice_char) {
        return Err(SdpError::new(
            line,
            format!("{name} must be {least} to 256 letters, digits, + or /"),
        ));
    }
    value.clone_into(into);
    Ok(())
}

/// `holdconn` (RFC 4145 §4) is the word of a section that is not in use: as good as none.
fn read_setup(line: usize, value: &str) -> Result<Option<Setup>, SdpError> {
    if value == "holdconn" {
        return Ok(None);
    }
    let setup = [Setup::ActPass, Setup::Active, Setup::Passive].into_iter();
    match setup.clone().find(|s| s.name() == value) {
        Some(setup) => Ok(Some(setup)),
        None => Err(SdpError::new(line, "a=setup must be actpass, active or passive")),
    }
}

/// Reads a candidate, or `None` for one that cannot be used here (TCP, a `.local` name, another
/// component): those are skipped silently, as WHEP and RFC 8838 ask. A viewer's TCP candidates are
/// of no use even where TCP is: it is the viewer who connects, from an address it cannot know yet.
fn read_candidate(value: &str) -> Option<Candidate> {
    // Some clients repeat the attribute's name inside the value.
    let value = value.strip_prefix("candidate:").unwrap_or(value);
    if value.len() > 512 || value.split(' ').nth(1) != Some("1") {
        return None;
    }
    let candidate = Candidate::from_sdp_string(&format!("candidate:{value}")).ok()?;
    let usable = candidate.proto() == str0m::net::Protocol::Udp && candidate.addr().port() != 0;
    usable.then_some(candidate)
}
