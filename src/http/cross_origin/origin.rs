//! Where a request comes from: a page of ours, one of a listed origin, or neither.

use axum::http::HeaderValue;
use axum::http::uri::Authority;

use crate::http::own_names::is_own_name;
use crate::http::settings::HttpSettings;

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestOrigin {
    /// No browser, or a browser's address line.
    None,
    /// A page of ours.
    SameOrigin(OwnPage),
    /// A page of a listed origin.
    Allowed(HeaderValue),
}

/// What is known of a page of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnPage {
    /// Whether it came by HTTPS, as the browser sees it.
    pub(super) secure: bool,
    /// The port in its address, where it names one.
    pub(super) port: Option<u16>,
    pub(super) named: HostMatch,
}

/// Under which name a page of ours was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostMatch {
    /// The one that the request is addressed to.
    AsAddressed,
    /// Another of ours: a proxy has changed it.
    OtherName,
    /// One that is not known to be ours; that the page is, the browser says.
    Unknown,
}

/// A web origin (RFC 6454 §7).
pub(super) struct Origin {
    pub(super) secure: bool,
    pub(super) authority: Authority,
}

impl Origin {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (secure, authority) = match text.strip_prefix("https://") {
            Some(authority) => (true, authority),
            None => (false, text.strip_prefix("http://")?),
        };
        let authority: Authority = authority.parse().ok()?;
        (!authority.as_str().contains('@')).then_some(Self { secure, authority })
    }

    fn port_of(&self, authority: &Authority) -> u16 {
        authority.port_u16().unwrap_or(if self.secure { 443 } else { 80 })
    }

    pub(super) fn named(&self, settings: &HttpSettings, names: &[Authority]) -> HostMatch {
        let own = self.authority.host();
        if names.iter().any(|name| name.host().eq_ignore_ascii_case(own)) {
            HostMatch::AsAddressed
        } else if is_own_name(settings, own) {
            HostMatch::OtherName
        } else {
            HostMatch::Unknown
        }
    }

    /// Whether it is ours for a browser that does not say so itself.
    pub(super) fn is_of(
        &self,
        settings: &HttpSettings,
        names: &[Authority],
        port: Option<u16>,
    ) -> Option<OwnPage> {
        let own = self.authority.host();
        let same = |name: &Authority| name.host().eq_ignore_ascii_case(own);
        let exact =
            |name: &Authority| same(name) && self.port_of(name) == self.port_of(&self.authority);
        let listed = settings.allowed_hosts.iter().any(|name| own.eq_ignore_ascii_case(name));
        // Another program on this machine has pages of the same name, which can send requests here
        // with the owner's cookie. Pages of another name cannot, nor those of HTTPS to what is not.
        let proxied = names.len() > 1 || names.iter().all(|name| !may_be_direct(name, port));
        let same = names.iter().any(same);
        let ours = names.iter().any(exact)
            || (same && proxied)
            || (listed && (self.secure || proxied || !same));
        let named = self.named(settings, names);
        ours.then_some(OwnPage { secure: self.secure, port: self.authority.port_u16(), named })
    }
}

/// Whether a request to this name may have come directly to the port that we listen on.
fn may_be_direct(name: &Authority, port: Option<u16>) -> bool {
    port.is_none_or(|port| name.port_u16().unwrap_or(80) == port)
}
