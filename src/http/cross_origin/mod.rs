//! Turns away what another web site sent.
//!
//! A camera stands inside the home network and is reached by browsers that also visit the rest
//! of the world. Three questions keep the world out, whoever is signed in: is the request
//! addressed to this device by a name of its own (else a site has pointed its own name at us:
//! DNS rebinding); does the page that makes it come from here or from a listed origin (else it
//! is forged: CSRF); and, where a browser tells (`Sec-Fetch-Site`), was it made from here even
//! though it names no origin, as for an image.
//!
//! A proxy in front changes what we see of a page of ours: it ends HTTPS, it has a port of its
//! own, and it may put another name in `Host`. Browsers tell `Sec-Fetch-Site` of what is encrypted
//! or on this machine, and no page can forge it, so that it settles the matter. Where it is not
//! told, the origin must be what the request is addressed to, or a name that
//! `http.allowed_hosts` lists; then a port tells nothing only if the request cannot have come
//! directly: pages of other programs on this machine have the same name, and SameSite cookies.
//!
//! In come requests; out go those that may pass, with how their client addressed us
//! ([`TargetUri`]), and refusals.

mod check;
pub(super) mod embed;
mod middleware;
mod origin;
mod target;
#[cfg(test)]
mod tests;

pub(super) use middleware::reject_cross_origin;
pub(super) use target::TargetUri;
