//! What is answered to whoever is not let in.

use std::time::Duration;

use axum::http::StatusCode;

use super::login_limiter::TooManyAttempts;
use crate::http::problem::{Problem, Remedy, duration_text};

/// Why somebody may not even set the first password.
pub(super) const TOO_FAR: &str = "no password has been set yet, and the first can only be set from the camera's own \
     network: open the camera's page there, or write the password into \
     config.toml; a proxy that leads there must be named in \
     http.trusted_proxies";

pub(in crate::http) fn too_far() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, TOO_FAR)
}

/// Why nobody gets in.
pub(super) const LOCKED_OUT: &str = "nobody can sign in, because the camera's configuration cannot be used as \
     it is; its log and picket-status.txt on its card say what to fix";

pub(super) fn locked_out() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, LOCKED_OUT)
}

pub(super) fn too_many(TooManyAttempts(wait): TooManyAttempts) -> Problem {
    let detail = format!("too many attempts to sign in; try again in {}", duration_text(wait));
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
        .retry_after(wait.max(Duration::from_secs(1)))
        .remedy(Remedy::SignIn)
}

/// Why there is no password to ask for, though somebody gets in.
pub(super) const TOKENS_ONLY: &str =
    "no password has been set; this camera is open to holders of a token only";

pub(super) fn no_password_yet() -> Problem {
    let detail = "no password has been set yet";
    Problem::new(StatusCode::FORBIDDEN, detail).remedy(Remedy::SetUp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_too_often_is_told_for_how_long_to_wait() {
        let told = too_many(TooManyAttempts(Duration::from_secs(40))).to_string();
        assert_eq!(told, "too many attempts to sign in; try again in 40 seconds");
    }
}
