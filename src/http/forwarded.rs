//! Who a request is from, where proxies stand between.
//!
//! A proxy that `http.trusted_proxies` names is believed what it says of the client:
//! `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, `Forwarded` (RFC 7239), and Home Assistant's
//! `X-Ingress-Path`. From then on [`Peer`] is that client. What anybody else says of whom they
//! speak for has one effect only: who speaks for others is not this machine's own program.

use std::net::{IpAddr, SocketAddr};
use std::sync::Once;

use axum::extract::{Request, State};
use axum::http::header::{FORWARDED, HeaderName, VIA};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::{HttpState, Peer, Scheme};
use crate::config::Subnet;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const INGRESS: HeaderName = HeaderName::from_static("x-ingress-path");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// By any of these one knows a proxy.
const SIGNS: [HeaderName; 8] = [FORWARDED, FOR, PROTO, HOST, PREFIX, INGRESS, REAL_IP, VIA];

/// Proxies looked through, the nearest first.
const MAX_HOPS: usize = 16;

/// How a request came here, beside its [`Peer`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Passage {
    /// Whether a proxy stands between, trusted or not.
    pub(super) proxied: bool,
    /// Whether it did not say, or cannot be believed, who the client is: another proxy is nobody's
    /// client.
    pub(super) client_unknown: bool,
    /// The host name that the client asked the first trusted proxy for. `Err` where it is none.
    pub(super) host: Option<Result<Authority, Malformed>>,
    /// The path below which the proxy shows us, such as "/camera"; empty where that is not known.
    pub(super) prefix: String,
}

/// Not what a host name may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Finds out who a request is from, and how it came.
pub(super) async fn see_through(
    State(state): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let (passage, peer) = match peer {
        Some(peer) => {
            let (passage, peer) = pass(&state.settings.trusted_proxies, request.headers(), peer);
            (passage, Some(peer))
        }
        None => (Passage::default(), None),
    };
    let extensions = request.extensions_mut();
    extensions.insert(passage);
    if let Some(peer) = peer {
        extensions.insert(peer);
    }
    next.run(request).await
}

/// What `headers` say of a request that came from `peer`, as far as it may be believed.
pub(super) fn pass(trusted: &[Subnet], headers: &HeaderMap, peer: Peer) -> (Passage, Peer) {
    let mut passage = Passage {
        proxied: SIGNS.iter().any(|name| headers.contains_key(name)),
        ..Passage::default()
    };
    let is_trusted = |address: IpAddr| trusted.iter().any(|subnet| subnet.contains(address));
    if !passage.proxied {
        // A proxy that is named, and tells of nobody, may speak for anybody.
        passage.client_unknown = is_trusted(peer.source());
        return (passage, peer);
    }
    if !is_trusted(peer.source()) {
        tell_once(peer.source());
        passage.client_unknown = true;
        // The address by which the proxy has reached us is none of the visitor's.
        return (passage, Peer { local: None, ..peer });
    }
    let standard = headers.contains_key(FORWARDED).then(|| {
        let hops = standard(headers).unwrap_or_default();
        let (client, hop) = walk(&hops, |hop| hop.client, peer.source(), is_trusted);
        // The proxy that names the client also knows what the client asked for.
        Hop { client: Some(client), ..hops.into_iter().nth(hop).unwrap_or_default() }
    });
    let customary = [FOR, PROTO, HOST].iter().any(|name| headers.contains_key(name)).then(|| {
        let hops: Vec<_> = list(headers, &FOR).map(node).collect();
        let (client, hop) = walk(&hops, |hop| *hop, peer.source(), is_trusted);
        let nearer = hops.len().saturating_sub(hop + 1);
        let told = |name| nth_from_the_right(headers, name, nearer);
        Hop { client: Some(client), proto: told(&PROTO), host: told(&HOST) }
    });
    let told = match (standard, customary) {
        // A proxy writes one of the two, and may pass on the other as a visitor wrote it. Where
        // they disagree, nobody can say which is which.
        (Some(one), Some(other)) if headers.contains_key(FOR) && one.client != other.client => {
            passage.host = [one.host, other.host].into_iter().flatten().next().map(authority);
            passage.client_unknown = true;
            return (passage, peer);
        }
        (Some(one), Some(other)) => Hop {
            client: one.client,
            proto: one.proto.or(other.proto),
            host: one.host.or(other.host),
        },
        (one, other) => one.or(other).unwrap_or_default(),
    };
    passage.host = told.host.map(authority);
    passage.prefix =
        [PREFIX, INGRESS].iter().find_map(|name| prefix(headers.get(name)?)).unwrap_or_default();
    let (address, local) = match told.client {
        // Our own address is then the one by which the proxy has reached us.
        Some(client) if client != peer.source() => (SocketAddr::new(client, 0), None),
        _ => (peer.address, peer.local),
    };
    // A proxy is nobody's client: one that is the farthest known did not say whom it speaks for.
    passage.client_unknown = is_trusted(address.ip());
    let scheme = match told.proto.as_deref() {
        Some(proto) if proto.eq_ignore_ascii_case("https") => Scheme::Https,
        Some(_) => Scheme::Http,
        None => peer.scheme,
    };
    (passage, Peer { address, local, scheme })
}

fn authority(host: String) -> Result<Authority, Malformed> {
    host.parse().map_err(|_| Malformed)
}

/// What a proxy says of whom it speaks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hop {
    client: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

/// Goes from us towards the client for as long as those who tell are trusted: gives the first who
/// is not, or else the farthest that is known, and the place in the list where that is told.
fn walk<H>(
    hops: &[H],
    client_of: impl Fn(&H) -> Option<IpAddr>,
    peer: IpAddr,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> (IpAddr, usize) {
    let (mut client, mut place) = (peer, hops.len().saturating_sub(1));
    for (i, hop) in hops.iter().enumerate().rev().take(MAX_HOPS) {
        if !is_trusted(client) {
            break;
        }
        place = i;
        match client_of(hop) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    (client, place)
}

/// The elements of a list that may be spread over several lines. One that is no text, which a visitor
/// may have sent ahead of what the proxy adds, hides none of the others.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let elements =
        headers.get_all(name).into_iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
    let elements = elements.map(|element| std::str::from_utf8(element).unwrap_or("?"));
    elements.map(str::trim).filter(|element| !element.is_empty())
}

/// Of a list to which each proxy may have added: what the one so far away has added. Proxies that
/// do not add leave what the first of them wrote.
fn nth_from_the_right(headers: &HeaderMap, name: &HeaderName, n: usize) -> Option<String> {
    let all: Vec<&str> = list(headers, name).collect();
    all.iter().rev().nth(n).or(all.first()).map(|&element| element.to_owned())
}

/// An address, with or without a port. `None` for what hides who it is (RFC 7239 §6).
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare.parse().ok().or_else(with_port)
}

/// The elements of `Forwarded`, the client's first. `None` where a visitor has left a quoted string
/// open, which then reaches into what the proxy has added.
fn standard(headers: &HeaderMap) -> Option<Vec<Hop>> {
    let mut hops = Vec::new();
    for line in headers.get_all(FORWARDED) {
        let line = String::from_utf8_lossy(line.as_bytes());
        hops.extend(split(&line, ',')?.iter().map(|element| hop(element)));
    }
    Some(hops)
}

/// One element: `for=192.0.2.60;proto=http;host="cam.example:8443"` (RFC 7239 §4).
fn hop(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split(element, ';').unwrap_or_default() {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let value = unquoted(value.trim());
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.client = node(&value),
            "proto" => hop.proto = Some(value),
            "host" => hop.host = Some(value),
            _ => {}
        }
    }
    hop
}

/// Splits at a character, but not inside quoted strings (RFC 9110 §5.6.4). `None` where one has no end.
fn split(text: &str, at: char) -> Option<Vec<String>> {
    let (mut parts, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == at && !quoted => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    (!quoted).then_some(parts)
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut chars = inner.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

/// A path that can stand in a cookie's attribute: "/camera", without a `/` at its end.
fn prefix(value: &HeaderValue) -> Option<String> {
    let path = value.to_str().ok()?.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b);
    let segments = path.strip_prefix('/')?.split('/');
    let clean = segments.clone().all(|s| !matches!(s, "" | "." | ".."));
    (path.len() <= 256 && clean && path.bytes().all(plain)).then(|| path.to_owned())
}

/// Tells the owner, once, of a proxy that is not believed: the log would name it for everybody.
fn tell_once(proxy: IpAddr) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        log::info!(
            "a proxy at {proxy} says who its visitors are; it is trusted once \
             http.trusted_proxies names it, and counts as the visitor until then"
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.2";

    /// Who it is, by which scheme, and at which host, with 10.0.0.0/8 and ::1 trusted.
    fn seen(from: &str, headers: &[(&'static str, &str)]) -> (String, Scheme, Option<String>) {
        let (passage, peer) = passed(from, headers);
        let host = passage.host.map(|h| h.map_or("?".into(), |h| h.to_string()));
        (peer.source().to_string(), peer.scheme, host)
    }

    fn passed(from: &str, headers: &[(&'static str, &str)]) -> (Passage, Peer) {
        let trusted = ["10.0.0.0/8", "::1"].map(|s| s.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let address = SocketAddr::new(from.parse().unwrap(), 50_000);
        pass(&trusted, &map, Peer { address, local: None, scheme: Scheme::Http })
    }

    fn client(headers: &[(&'static str, &str)]) -> String {
        seen(PROXY, headers).0
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_another_is_not() {
        let told = [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "cam.example:8443"),
            ("x-forwarded-prefix", "/camera/"),
        ];
        let host = Some("cam.example:8443".to_owned());
        assert_eq!(seen(PROXY, &told), ("192.0.2.7".into(), Scheme::Https, host));
        assert_eq!(passed(PROXY, &told).0.prefix, "/camera");
        assert_eq!(seen("192.0.2.1", &told), ("192.0.2.1".into(), Scheme::Http, None));
        assert_eq!(passed("192.0.2.1", &told).0.prefix, "");
        assert!(passed("192.0.2.1", &told).0.proxied && passed(PROXY, &told).0.proxied);
        assert!(!passed(PROXY, &[("accept", "*/*")]).0.proxied);
    }

    #[test]
    fn the_nearest_that_is_not_trusted_is_the_client() {
        for (told, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("127.0.0.1, 192.0.2.7", "192.0.2.7"),
            ("192.0.2.7, 10.1.1.1", "192.0.2.7"),
            ("1.1.1.1, 192.0.2.7 ,10.1.1.1,::1", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("10.1.1.1", "10.1.1.1"),
            ("unknown", PROXY),
            ("192.0.2.7, nonsense, 10.1.1.1", "10.1.1.1"),
            ("", PROXY),
            (",,,", PROXY),
        ] {
            assert_eq!(client(&[("x-forwarded-for", told)]), expected, "{told}");
        }
        let lines = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(client(&lines), "192.0.2.7");
        let mut map = HeaderMap::new();
        map.insert("x-forwarded-for", HeaderValue::from_bytes(b"\xff, 192.0.2.7").unwrap());
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let address = SocketAddr::new(PROXY.parse().unwrap(), 50_000);
        let peer = Peer { address, local: None, scheme: Scheme::Http };
        assert_eq!(pass(&trusted, &map, peer).1.source().to_string(), "192.0.2.7");
    }

    #[test]
    fn a_proxy_that_names_nobody_leaves_the_client_unknown() {
        let unknown = |headers: &[(&'static str, &str)]| passed(PROXY, headers).0.client_unknown;
        for silent in [
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", ""),
            ("x-forwarded-for", "192.0.2.7, nonsense, 10.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "cam.example"),
            ("forwarded", "for=_hidden"),
            ("forwarded", "proto=https"),
            ("via", "1.1 proxy"),
            // The farthest proxy is named, and whom it speaks for is not.
            ("x-forwarded-for", "10.1.1.1"),
            ("forwarded", "for=10.1.1.1"),
        ] {
            assert!(unknown(&[silent]), "{silent:?}");
        }
        assert!(unknown(&[]), "a named proxy that leaves no trace");
        assert!(!passed("192.0.2.7", &[]).0.client_unknown);
        assert!(!unknown(&[("x-forwarded-for", "192.0.2.7, 10.1.1.1")]));
        assert!(!unknown(&[("forwarded", "for=192.0.2.7")]));
    }

    #[test]
    fn the_standard_header_is_read() {
        for (told, expected) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=\"192.0.2.7:47011\";by=10.0.0.2", "192.0.2.7"),
            ("for=127.0.0.1, for=\"[2001:db8::7]:80\"", "2001:db8::7"),
            ("for=192.0.2.7;proto=https, for=10.1.1.1", "192.0.2.7"),
            ("for=\"_x,for=127.0.0.1\"", PROXY),
            ("for=unknown", PROXY),
            ("for", PROXY),
            ("\"", PROXY),
            // A visitor's quoted string without an end, and then what the proxy adds.
            ("for=\"127.0.0.1\";x=\", for=192.0.2.7", PROXY),
            ("for=127.0.0.1;x=\"\\\", for=\"[2001:db8::7]\"", PROXY),
        ] {
            assert_eq!(client(&[("forwarded", told)]), expected, "{told}");
        }
        let whole = "for=192.0.2.7;proto=HTTPS;host=\"cam.example:8443\", for=10.1.1.1;proto=http";
        let host = Some("cam.example:8443".to_owned());
        let expected = ("192.0.2.7".into(), Scheme::Https, host);
        assert_eq!(seen(PROXY, &[("forwarded", whole)]), expected);
    }

    #[test]
    fn headers_that_disagree_are_not_believed() {
        let both = |standard, customary| {
            client(&[("forwarded", standard), ("x-forwarded-for", customary)])
        };
        assert_eq!(both("for=192.0.2.7", "192.0.2.7"), "192.0.2.7");
        assert_eq!(both("for=127.0.0.1", "192.0.2.7"), PROXY);
        assert_eq!(both("for=192.0.2.7", "127.0.0.1"), PROXY);
        let beside = [("forwarded", "for=192.0.2.7"), ("x-forwarded-proto", "https")];
        assert_eq!(seen(PROXY, &beside), ("192.0.2.7".into(), Scheme::Https, None));
    }

    #[test]
    fn what_each_proxy_added_belongs_to_its_hop() {
        let told = |proto: &str| {
            let hops = ("x-forwarded-for", "192.0.2.66, 192.0.2.7, 10.1.1.1");
            seen(PROXY, &[hops, ("x-forwarded-proto", proto)]).1
        };
        assert_eq!(told("https"), Scheme::Https);
        assert_eq!(told("http, https, http"), Scheme::Https);
        assert_eq!(told("https, http, https"), Scheme::Http);
    }

    #[test]
    fn a_prefix_is_a_plain_path() {
        let prefix = |value: &str| passed(PROXY, &[("x-forwarded-prefix", value)]).0.prefix;
        for (value, expected) in [
            ("/camera", "/camera"),
            ("/a/b_c-d.e/", "/a/b_c-d.e"),
            ("/api/hassio_ingress/Ab-9", "/api/hassio_ingress/Ab-9"),
        ] {
            assert_eq!(prefix(value), expected);
        }
        for value in ["", "/", "camera", "//host", "/a/../b", "/a; Domain=x", "/a, /b", "/a b"] {
            assert_eq!(prefix(value), "", "{value}");
        }
        assert_eq!(passed(PROXY, &[("x-ingress-path", "/x")]).0.prefix, "/x");
    }
}
