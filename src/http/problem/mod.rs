//! What is said when something went wrong: `application/problem+json` (RFC 9457), or a page where
//! a browser asked for one.
//!
//! In come the [`Problem`]s of all handlers, and their panics; out go answers in the form that the
//! client understands.

mod details;
mod pages;

pub(super) use details::{Problem, Remedy, duration_text};
pub(super) use pages::present;
