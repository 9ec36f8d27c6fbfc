//! Who a request is from, by those headers of proxies that are believed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Once;

use axum::http::HeaderMap;
use axum::http::header::{FORWARDED, HeaderName, VIA};
use axum::http::uri::Authority;

use super::parse::{Hop, list, node, nth_from_the_right, parse_forwarded, prefix};
use crate::config::Subnet;
use crate::http::peer::{Peer, Scheme};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const INGRESS: HeaderName = HeaderName::from_static("x-ingress-path");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Any of these shows that a proxy stands between.
const SIGNS: [HeaderName; 8] = [FORWARDED, FOR, PROTO, HOST, PREFIX, INGRESS, REAL_IP, VIA];

/// Most proxies in a row, the nearest first.
const MAX_HOPS: usize = 16;

/// How a request came here, beside its [`Peer`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::http) struct ProxyInfo {
    /// Whether a proxy stands between, trusted or not.
    pub(in crate::http) proxied: bool,
    /// Whether it did not say who the client is, or cannot be believed: another proxy is nobody's
    /// client.
    pub(in crate::http) client_unknown: bool,
    /// The host name that the client asked the first trusted proxy for. `Err` where it is none.
    pub(in crate::http) host: Option<Result<Authority, MalformedHost>>,
    /// The path below which the proxy shows us, such as "/camera"; empty where that is not known.
    pub(in crate::http) prefix: String,
}

/// Not what a host name may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct MalformedHost;

/// What `headers` say of a request that came from `peer`, as far as it may be believed.
pub(in crate::http) fn resolve(
    trusted: &[Subnet],
    headers: &HeaderMap,
    peer: Peer,
) -> (ProxyInfo, Peer) {
    let mut proxy = ProxyInfo {
        proxied: SIGNS.iter().any(|name| headers.contains_key(name)),
        ..ProxyInfo::default()
    };
    let is_trusted = |address: IpAddr| trusted.iter().any(|subnet| subnet.contains(address));
    if !proxy.proxied {
        // A trusted proxy that names no client may speak for anybody.
        proxy.client_unknown = is_trusted(peer.source());
        return (proxy, peer);
    }
    if !is_trusted(peer.source()) {
        warn_once(peer.source());
        proxy.client_unknown = true;
        // The address by which the proxy has reached us is none of the visitor's.
        return (proxy, Peer { local: None, ..peer });
    }
    let standard = headers.contains_key(FORWARDED).then(|| {
        let hops = parse_forwarded(headers).unwrap_or_default();
        let (client, hop) = nearest_untrusted(&hops, |hop| hop.client, peer.source(), is_trusted);
        // The proxy that names the client also knows what the client asked for.
        Hop { client: Some(client), ..hops.into_iter().nth(hop).unwrap_or_default() }
    });
    let customary = [FOR, PROTO, HOST].iter().any(|name| headers.contains_key(name)).then(|| {
        let hops: Vec<_> = list(headers, &FOR).map(node).collect();
        let (client, hop) = nearest_untrusted(&hops, |hop| *hop, peer.source(), is_trusted);
        let nearer = hops.len().saturating_sub(hop + 1);
        let told = |name| nth_from_the_right(headers, name, nearer);
        Hop { client: Some(client), proto: told(&PROTO), host: told(&HOST) }
    });
    let told = match (standard, customary) {
        // A proxy writes one of the two, and may pass on the other as a visitor wrote it. Where
        // they disagree, nobody can say which is which.
        (Some(one), Some(other)) if headers.contains_key(FOR) && one.client != other.client => {
            proxy.host = [one.host, other.host].into_iter().flatten().next().map(authority);
            proxy.client_unknown = true;
            return (proxy, peer);
        }
        (Some(one), Some(other)) => Hop {
            client: one.client,
            proto: one.proto.or(other.proto),
            host: one.host.or(other.host),
        },
        (one, other) => one.or(other).unwrap_or_default(),
    };
    proxy.host = told.host.map(authority);
    proxy.prefix =
        [PREFIX, INGRESS].iter().find_map(|name| prefix(headers.get(name)?)).unwrap_or_default();
    let (address, local) = match told.client {
        // Our own address is then the one by which the proxy has reached us.
        Some(client) if client != peer.source() => (SocketAddr::new(client, 0), None),
        _ => (peer.address, peer.local),
    };
    // A proxy is nobody's client: if the farthest known is one, it did not say who its client is.
    proxy.client_unknown = is_trusted(address.ip());
    let scheme = match told.proto.as_deref() {
        Some(proto) if proto.eq_ignore_ascii_case("https") => Scheme::Https,
        Some(_) => Scheme::Http,
        None => peer.scheme,
    };
    (proxy, Peer { address, local, scheme })
}

fn authority(host: String) -> Result<Authority, MalformedHost> {
    host.parse().map_err(|_| MalformedHost)
}

/// Goes from us towards the client for as long as each hop is trusted: gives the first that is not,
/// or else the farthest that is known, and its index in the list.
fn nearest_untrusted<H>(
    hops: &[H],
    client_of: impl Fn(&H) -> Option<IpAddr>,
    peer: IpAddr,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> (IpAddr, usize) {
    let (mut client, mut index) = (peer, hops.len().saturating_sub(1));
    for (i, hop) in hops.iter().enumerate().rev().take(MAX_HOPS) {
        if !is_trusted(client) {
            break;
        }
        index = i;
        match client_of(hop) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    (client, index)
}

/// Tells the owner, once, of a proxy that is not believed: the log would name it again and again.
fn warn_once(proxy: IpAddr) {
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
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.2";

    /// Who it is, by which scheme, and at which host, with 10.0.0.0/8 and ::1 trusted.
    fn seen(from: &str, headers: &[(&'static str, &str)]) -> (String, Scheme, Option<String>) {
        let (proxy, peer) = resolved(from, headers);
        let host = proxy.host.map(|h| h.map_or("?".into(), |h| h.to_string()));
        (peer.source().to_string(), peer.scheme, host)
    }

    fn resolved(from: &str, headers: &[(&'static str, &str)]) -> (ProxyInfo, Peer) {
        let trusted = ["10.0.0.0/8", "::1"].map(|s| s.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let address = SocketAddr::new(from.parse().unwrap(), 50_000);
        resolve(&trusted, &map, Peer { address, local: None, scheme: Scheme::Http })
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
        assert_eq!(resolved(PROXY, &told).0.prefix, "/camera");
        assert_eq!(seen("192.0.2.1", &told), ("192.0.2.1".into(), Scheme::Http, None));
        assert_eq!(resolved("192.0.2.1", &told).0.prefix, "");
        assert!(resolved("192.0.2.1", &told).0.proxied && resolved(PROXY, &told).0.proxied);
        assert!(!resolved(PROXY, &[("accept", "*/*")]).0.proxied);
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
        assert_eq!(resolve(&trusted, &map, peer).1.source().to_string(), "192.0.2.7");
    }

    #[test]
    fn a_proxy_that_names_nobody_leaves_the_client_unknown() {
        let unknown = |headers: &[(&'static str, &str)]| resolved(PROXY, headers).0.client_unknown;
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
        assert!(!resolved("192.0.2.7", &[]).0.client_unknown);
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
        let prefix = |value: &str| resolved(PROXY, &[("x-forwarded-prefix", value)]).0.prefix;
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
        assert_eq!(resolved(PROXY, &[("x-ingress-path", "/x")]).0.prefix, "/x");
    }
}
