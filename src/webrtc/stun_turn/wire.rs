//! The bytes: STUN messages (RFC 8489) and the framing of TURN (RFC 8656). The only file that
//! knows the message library.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use turn_types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND};
use turn_types::stun::attribute::{ErrorCode, Nonce, Realm, Username, XorMappedAddress};
use turn_types::stun::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageClass,
    MessageIntegrityCredentials, MessageType, MessageWriteVec, Method, StunWriteError,
    TransactionId, ValidateError,
};
use turn_types::stun::prelude::{Attribute, AttributeStaticType, MessageWrite, MessageWriteExt};

use super::canonical::canonical;

/// First byte of a channel number (RFC 8656 §12: 0x4000 to 0x4FFF), which neither STUN nor DTLS
/// nor RTP begins with (RFC 7983).
const CHANNEL_FIRST_BYTES: std::ops::RangeInclusive<u8> = 0x40..=0x4f;

/// Header of ChannelData: number and length.
const CHANNEL_HEADER: usize = 4;

const STUN_HEADER: usize = 20;
const MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();

/// Longest reason of a server that is passed on to people.
const MAX_REASON: usize = 80;

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// What is my address?
    Binding,
    /// Relay for me for this long.
    Allocate(Duration),
    /// Go on relaying for this long; zero ends it.
    Refresh(Duration),
    /// Let packets of this address through.
    Permit(IpAddr),
    /// Short headers for this peer.
    Bind { number: u16, peer: SocketAddr },
}

impl Ask {
    fn method(self) -> Method {
        match self {
            Self::Binding => BINDING,
            Self::Allocate(_) => ALLOCATE,
            Self::Refresh(_) => REFRESH,
            Self::Permit(_) => CREATE_PERMISSION,
            Self::Bind { .. } => CHANNEL_BIND,
        }
    }
}

/// A user name and password, and what the server told us to sign with (RFC 8489 §9.2).
pub(super) struct Auth {
    username: Username,
    realm: Realm,
    nonce: Nonce,
    key: IntegrityKey,
}

impl Auth {
    /// `None`: one of them is longer than STUN allows.
    pub(super) fn new(username: &str, password: &str, challenge: &Challenge) -> Option<Self> {
        let credentials: MessageIntegrityCredentials = LongTermKeyCredentials::new(
            username.to_owned(),
            password.to_owned(),
            challenge.realm.clone(),
        )
        .into();
        Some(Self {
            username: Username::new(username).ok()?,
            realm: Realm::new(&challenge.realm).ok()?,
            nonce: Nonce::new(&challenge.nonce).ok()?,
            key: credentials.make_key(IntegrityAlgorithm::Sha1),
        })
    }

    /// Whether `challenge` asks for anything this does not already give.
    pub(super) fn answers(&self, challenge: &Challenge) -> bool {
        self.realm.realm() == challenge.realm && self.nonce.nonce() == challenge.nonce
    }
}

/// What a server wants requests to be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) realm: String,
    pub(super) nonce: String,
}

/// A number nobody off the path can guess.
pub(super) fn new_transaction_id() -> u128 {
    TransactionId::generate().into()
}

/// Writes a request, signed if `auth` is given.
pub(super) fn request(ask: Ask, id: u128, auth: Option<&Auth>) -> Vec<u8> {
    // Writing fails if a part does not fit a message, and each has been checked when it was read.
    // Should it fail nevertheless, nothing is sent, and the request times out like a lost one.
    write(ask, id, auth).unwrap_or_default()
}

fn write(ask: Ask, id: u128, auth: Option<&Auth>) -> Result<Vec<u8>, StunWriteError> {
    let id = TransactionId::from(id);
    let kind = MessageType::from_class_method(MessageClass::Request, ask.method());
    let mut message = Message::builder(kind, id, MessageWriteVec::with_capacity(256));
    let seconds = |time: Duration| Lifetime::new(u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    match ask {
        Ask::Binding => {}
        Ask::Allocate(lifetime) => {
            message.add_attribute(&RequestedTransport::new(RequestedTransport::UDP))?;
            message.add_attribute(&seconds(lifetime))?;
        }
        Ask::Refresh(lifetime) => message.add_attribute(&seconds(lifetime))?,
        Ask::Permit(ip) => {
            message.add_attribute(&XorPeerAddress::new(SocketAddr::new(ip, 0), id))?;
        }
        Ask::Bind { number, peer } => {
            message.add_attribute(&ChannelNumber::new(number))?;
            message.add_attribute(&XorPeerAddress::new(peer, id))?;
        }
    }
    if let Some(auth) = auth {
        message.add_attribute(&auth.username)?;
        message.add_attribute(&auth.realm)?;
        message.add_attribute(&auth.nonce)?;
        message.add_message_integrity_with_key(&auth.key, IntegrityAlgorithm::Sha1)?;
    }
    Ok(message.finish())
}

/// A datagram that looks like one of a server's.
pub(super) enum Arrived<'a> {
    Reply(Reply<'a>),
    /// A packet of `peer`, in a Data indication.
    Data {
        peer: SocketAddr,
        data: &'a [u8],
    },
    /// A packet of the peer this channel is bound to.
    Channel {
        number: u16,
        data: &'a [u8],
    },
}

/// Takes a datagram apart; `None` for everything a server has no business to send.
pub(super) fn parse(datagram: &[u8]) -> Option<Arrived<'_>> {
    let (&first, _) = datagram.split_first()?;
    if CHANNEL_FIRST_BYTES.contains(&first) {
        return parse_channel(datagram);
    }
    let header = datagram.get(..STUN_HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    // The library takes a message with a tail; a datagram holds exactly one message.
    if header[4..8] != MAGIC_COOKIE || datagram.len() != STUN_HEADER + length {
        return None;
    }
    let message = Message::from_bytes(datagram).ok()?;
    match message.class() {
        MessageClass::Success | MessageClass::Error => Some(Arrived::Reply(Reply { message })),
        MessageClass::Indication if message.method() == DATA => {
            let peer = message.attribute::<XorPeerAddress>().ok()?;
            let peer = peer.addr(message.transaction_id());
            let mut attributes = message.iter_attributes();
            let (at, data) = attributes.find(|(_, raw)| raw.get_type() == Data::TYPE)?;
            let start = at + 4;
            let data = datagram.get(start..start + usize::from(data.length()))?;
            Some(Arrived::Data { peer, data })
        }
        MessageClass::Indication | MessageClass::Request => None,
    }
}

/// RFC 8656 §12.4. Over UDP a tail of padding is allowed.
fn parse_channel(datagram: &[u8]) -> Option<Arrived<'_>> {
    let (header, rest) = datagram.split_at_checked(CHANNEL_HEADER)?;
    let number = u16::from_be_bytes([header[0], header[1]]);
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if rest.len() > length.next_multiple_of(4) {
        return None;
    }
    let data = rest.get(..length)?;
    Some(Arrived::Channel { number, data })
}

/// A server's answer to a request.
pub(super) struct Reply<'a> {
    message: Message<'a>,
}

/// Whether an answer was signed with our password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    Absent,
    Good,
    Bad,
}

/// What the server decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Granted {
        /// Our address as the server sees it.
        mapped: Option<SocketAddr>,
        /// Where it relays.
        relayed: Option<SocketAddr>,
        lifetime: Option<Duration>,
    },
    Refused {
        code: u16,
        reason: String,
        challenge: Option<Challenge>,
    },
}

impl Reply<'_> {
    pub(super) fn id(&self) -> u128 {
        self.message.transaction_id().into()
    }

    pub(super) fn answers(&self, ask: Ask) -> bool {
        self.message.method() == ask.method()
    }

    pub(super) fn signature(&self, auth: &Auth) -> Signature {
        match self.message.validate_integrity_with_key(&auth.key) {
            Ok(_) => Signature::Good,
            Err(ValidateError::Parse(_)) => Signature::Absent,
            Err(ValidateError::IntegrityFailed) => Signature::Bad,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let id = self.message.transaction_id();
        if self.message.class() == MessageClass::Success {
            let mapped = self.message.attribute::<XorMappedAddress>().ok();
            let relayed = self.message.attribute::<XorRelayedAddress>().ok();
            let lifetime = self.message.attribute::<Lifetime>().ok();
            return Verdict::Granted {
                mapped: mapped.map(|a| a.addr(id)).and_then(sensible),
                relayed: relayed.map(|a| a.addr(id)).and_then(sensible),
                lifetime: lifetime.map(|l| Duration::from_secs(l.seconds().into())),
            };
        }
        let error = self.message.attribute::<ErrorCode>().ok();
        let (code, reason) =
            error.map_or((0, String::new()), |e| (e.code(), printable(e.reason())));
        let realm = self.message.attribute::<Realm>().ok();
        let nonce = self.message.attribute::<Nonce>().ok();
        Verdict::Refused {
            code,
            reason,
            challenge: realm.zip(nonce).map(|(realm, nonce)| Challenge {
                realm: realm.realm().to_owned(),
                nonce: nonce.nonce().to_owned(),
            }),
        }
    }
}

/// An address packets can be sent to.
fn sensible(address: SocketAddr) -> Option<SocketAddr> {
    let address = canonical(address);
    let ip = address.ip();
    (address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()).then_some(address)
}

/// A stranger's text, fit for a log line.
fn printable(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control());
    clean.take(MAX_REASON).collect()
}

/// Wraps each segment in ChannelData, appended to `out`. Returns the length of a full datagram.
pub(super) fn wrap_in_channel(
    number: u16,
    segments: &[u8],
    segment_size: NonZeroU16,
    out: &mut Vec<u8>,
) -> usize {
    let full = usize::from(segment_size.get());
    let count = segments.len().div_ceil(full);
    out.reserve(segments.len() + count * CHANNEL_HEADER);
    for segment in segments.chunks(full) {
        let length = u16::try_from(segment.len()).unwrap_or(segment_size.get());
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(segment);
    }
    CHANNEL_HEADER + full.min(segments.len())
}

/// Wraps each segment in a Send indication (RFC 8656 §11.1), appended to `out`. Returns the
/// length of a full datagram: 36 bytes more for IPv4 peers, and padding. `None`: a segment is too
/// long to be wrapped.
pub(super) fn wrap_in_indication(
    peer: SocketAddr,
    segments: &[u8],
    segment_size: NonZeroU16,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let mut full = 0;
    for segment in segments.chunks(segment_size.get().into()) {
        let buffer = MessageWriteVec::with_capacity(STUN_HEADER + 32 + segment.len());
        let mut message = Message::builder_indication(SEND, buffer);
        let id = message.transaction_id();
        message.add_attribute(&XorPeerAddress::new(peer, id)).ok()?;
        message.add_attribute(&Data::new(segment)).ok()?;
        let bytes = message.finish();
        full = full.max(bytes.len());
        out.extend_from_slice(&bytes);
    }
    Some(full)
}
