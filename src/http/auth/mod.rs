//! Who may do what.
//!
//! The owner signs in with a password and is known by a cookie; programs show a token, as a bearer
//! or as the password of HTTP Basic, and may watch. What is opened with either ends with it
//! ([`revocation`]). Where no password has been set, this machine itself may do everything, and
//! a browser nearby gets the page on which the owner sets one. Where the configuration cannot be
//! trusted, nobody may do anything.
//!
//! A client behind a proxy is never this machine itself. But not every proxy can be told from a
//! program on this machine, so a password must be set before one is put in front.
//!
//! In come requests, what their forms hold, and changes of the configuration; out goes who may do
//! what, and the cookies of browsers that have signed in.

mod authenticator;
mod authorize;
mod cookies;
mod credentials;
mod login_limiter;
mod policy;
mod refusal;
mod revocation;
mod session_store;
mod sign_in;
mod sign_in_sessions;
mod weak_password;

pub(super) use authenticator::save_if_stale;
pub use authenticator::{Authenticator, PasswordStore};
pub(super) use authorize::{authorize, is_from_near, is_local};
pub(super) use cookies::CookieKind;
pub(super) use credentials::take_token_from_url;
pub(super) use refusal::too_far;
pub use revocation::end_revoked_sessions;
pub use session_store::SessionStore;
pub(super) use sign_in::{LoginForm, SignInCookies};
pub(super) use sign_in_sessions::LIFETIME;
pub(super) use weak_password::weakness;
