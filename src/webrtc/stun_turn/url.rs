//! The configured servers: `stun:` (RFC 7064) and `turn:` (RFC 7065) URLs and their credentials.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// Longest user name STUN can carry, in bytes (RFC 8489 §14.3).
const MAX_USERNAME: usize = 508;

/// One entry of `ice_servers`, in the shape browsers know (W3C `RTCIceServer`).
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct IceServer {
    /// One server under one or several URLs.
    pub urls: Vec<String>,
    /// TURN only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// TURN only: the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// The credential stays out of logs.
impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username)
            .field("credential", &self.credential.as_ref().map(|_| "…"))
            .finish()
    }
}

impl IceServer {
    /// The URLs taken apart, in order.
    ///
    /// # Errors
    /// The first mistake: in a URL, or in the credentials a TURN server needs.
    pub fn parse(&self) -> Result<Vec<ServerUrl>, UrlError> {
        if self.urls.is_empty() {
            return Err(UrlError::NoUrl);
        }
        let urls = self.urls.iter().map(|url| ServerUrl::parse(url));
        let urls = urls.collect::<Result<Vec<_>, _>>()?;
        if let Some(turn) = urls.iter().find(|url| url.service == Service::Turn) {
            match (&self.username, &self.credential) {
                (Some(name), _) if name.len() > MAX_USERNAME => {
                    return Err(UrlError::LongUsername(name.len()));
                }
                (Some(name), Some(_)) if !name.is_empty() => {}
                _ => return Err(UrlError::NoCredentials(turn.to_string())),
            }
        }
        Ok(urls)
    }
}

/// What is wrong with an entry of `ice_servers`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("an ICE server needs at least one URL, such as \"stun:stun.example.org\"")]
    NoUrl,
    #[error("\"{0}\" is no ICE server: expected stun:, stuns:, turn: or turns: and a host")]
    Scheme(String),
    #[error("\"{0}\" has slashes: write it without, as in stun:stun.example.org:3478")]
    Slashes(String),
    #[error("\"{0}\" names a user: write the name and the password as username and credential")]
    User(String),
    #[error("\"{0}\" has no valid host: expected a name, an IPv4 address or an [IPv6 address]")]
    Host(String),
    #[error("\"{0}\" has no valid port: expected a number from 1 to 65535")]
    Port(String),
    #[error("\"{0}\" has an unknown option: only turn: may have one, ?transport=udp or tcp")]
    Query(String),
    #[error("{0} needs username and credential")]
    NoCredentials(String),
    #[error("the username has {0} bytes, STUN allows at most {MAX_USERNAME}")]
    LongUsername(usize),
}

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Tells us our public address.
    Stun,
    /// Relays.
    Turn,
}

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    /// TLS, or DTLS when asked for UDP.
    Tls,
}

/// A URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    pub service: Service,
    pub transport: Transport,
    pub host: Host,
    pub port: u16,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

impl ServerUrl {
    /// Takes `stun:host[:port]` or `turn:host[:port][?transport=…]` apart.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        // A URL with a password in it must not reach the log by way of the error.
        let shown = || match url.rsplit_once('@') {
            Some((before, host)) => {
                format!("{}:…@{host}", before.split(':').next().unwrap_or_default())
            }
            None => url.to_owned(),
        };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| UrlError::Scheme(shown()))?;
        let (service, secure) = match scheme.to_ascii_lowercase().as_str() {
            "stun" => (Service::Stun, None),
            "stuns" => (Service::Stun, Some(Transport::Tls)),
            "turn" => (Service::Turn, None),
            "turns" => (Service::Turn, Some(Transport::Tls)),
            _ => return Err(UrlError::Scheme(shown())),
        };
        if rest.starts_with("//") {
            return Err(UrlError::Slashes(shown()));
        }
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query.to_ascii_lowercase())),
            None => (rest, None),
        };
        let transport = match (query.as_deref(), service) {
            (None, _) | (Some("transport=udp"), Service::Turn) => Transport::Udp,
            (Some("transport=tcp"), Service::Turn) => Transport::Tcp,
            _ => return Err(UrlError::Query(shown())),
        };
        if authority.contains('@') {
            return Err(UrlError::User(shown()));
        }
        let (host, port) = split_port(authority);
        let port = match port {
            Some(text) => match text.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(UrlError::Port(shown())),
            },
            None if secure.is_some() => 5349,
            None => 3478,
        };
        Ok(Self {
            service,
            transport: secure.unwrap_or(transport),
            host: Host::parse(host).ok_or_else(|| UrlError::Host(shown()))?,
            port,
        })
    }

    /// Whether the daemon itself can use it: it has one UDP socket and no TLS to servers. The
    /// others are for viewers.
    #[must_use]
    pub fn usable_here(&self) -> bool {
        self.transport == Transport::Udp
    }
}

/// `host:port`; the colons inside brackets belong to an IPv6 address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after_address..].split_once(':') {
        // Several colons and no brackets: an IPv6 address as it must not be written.
        Some((_, port)) if !port.contains(':') => {
            let host = &authority[..authority.len() - port.len() - 1];
            (host, Some(port))
        }
        _ => (authority, None),
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            return Some(Self::Address(IpAddr::V6(inner.strip_suffix(']')?.parse().ok()?)));
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let plausible = (1..=253).contains(&text.len())
            && text.chars().all(allowed)
            && text.contains(|c: char| c.is_ascii_alphanumeric());
        plausible.then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.service, self.transport) {
            (Service::Stun, Transport::Tls) => "stuns",
            (Service::Stun, _) => "stun",
            (Service::Turn, Transport::Tls) => "turns",
            (Service::Turn, _) => "turn",
        };
        match &self.host {
            Host::Name(name) => write!(f, "{scheme}:{name}:{}", self.port)?,
            Host::Address(IpAddr::V4(v4)) => write!(f, "{scheme}:{v4}:{}", self.port)?,
            Host::Address(IpAddr::V6(v6)) => write!(f, "{scheme}:[{v6}]:{}", self.port)?,
        }
        match self.transport {
            Transport::Tcp => f.write_str("?transport=tcp"),
            Transport::Udp | Transport::Tls => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(urls: &[&str]) -> IceServer {
        IceServer {
            urls: urls.iter().map(ToString::to_string).collect(),
            username: Some("camera".into()),
            credential: Some("hunter2".into()),
        }
    }

    #[test]
    fn urls_get_the_ports_and_transports_of_their_rfcs() {
        for (text, normal) in [
            ("stun:stun.example.org", "stun:stun.example.org:3478"),
            ("STUN:Example.org:19302", "stun:example.org:19302"),
            ("stuns:example.org", "stuns:example.org:5349"),
            ("turn:192.0.2.1", "turn:192.0.2.1:3478"),
            ("turn:[2001:db8::1]", "turn:[2001:db8::1]:3478"),
            ("turn:[2001:db8::1]:99?transport=udp", "turn:[2001:db8::1]:99"),
            ("turn:a.b?transport=TCP", "turn:a.b:3478?transport=tcp"),
            ("turns:a.b?transport=tcp", "turns:a.b:5349"),
        ] {
            assert_eq!(ServerUrl::parse(text).unwrap().to_string(), normal);
        }
    }

    #[test]
    fn only_plain_udp_is_used_by_the_daemon_itself() {
        let usable = |url| ServerUrl::parse(url).unwrap().usable_here();
        assert!(usable("stun:a") && usable("turn:a") && usable("turn:a?transport=udp"));
        assert!(!usable("stuns:a") && !usable("turns:a") && !usable("turn:a?transport=tcp"));
    }

    #[test]
    fn a_wrong_url_is_told_what_is_wrong_with_it() {
        use UrlError as E;
        type Make = fn(String) -> UrlError;
        let cases: &[(&str, Make)] = &[
            ("", E::Scheme),
            ("example.org", E::Scheme),
            ("http:example.org", E::Scheme),
            ("stun://example.org", E::Slashes),
            ("stun:", E::Host),
            ("stun:[::1", E::Host),
            ("stun:[1.2.3.4]", E::Host),
            ("stun:a b", E::Host),
            ("stun:ex\u{e4}mple.org", E::Host),
            ("stun:a:", E::Port),
            ("stun:a:0", E::Port),
            ("stun:a:65536", E::Port),
            ("stun:2001:db8::1", E::Host),
            ("stun:a?transport=udp", E::Query),
            ("turn:a?transport=sctp", E::Query),
        ];
        for (url, error) in cases {
            assert_eq!(ServerUrl::parse(url), Err(error((*url).to_owned())));
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let error = ServerUrl::parse("turn:camera:hunter2@example.org").unwrap_err();
        assert_eq!(error, UrlError::User("turn:…@example.org".into()));
    }

    #[test]
    fn turn_needs_credentials_and_stun_does_not() {
        let mut entry = server(&["stun:a", "turn:b"]);
        assert_eq!(entry.parse().unwrap().len(), 2);
        entry.credential = None;
        assert!(matches!(entry.parse(), Err(UrlError::NoCredentials(_))));
        entry.urls.pop();
        assert!(entry.parse().is_ok());
        entry.urls.pop();
        assert_eq!(entry.parse(), Err(UrlError::NoUrl));
        let mut entry = server(&["turn:b"]);
        entry.username = Some("x".repeat(509));
        assert_eq!(entry.parse(), Err(UrlError::LongUsername(509)));
    }

    #[test]
    fn the_credential_is_not_in_the_debug_text() {
        let text = format!("{:?}", server(&["turn:b"]));
        assert!(text.contains("camera") && !text.contains("hunter2"));
    }
}
