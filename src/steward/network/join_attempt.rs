//! A network that the owner chose on the page, while joining it is tried.

use tokio::sync::oneshot;

use crate::appliance::JoinRequest;
use crate::config::{CountryCode, Secret, WifiNetwork};

/// The attempt.
pub(super) struct JoinAttempt {
    pub(super) network: WifiNetwork,
    pub(super) country: Option<CountryCode>,
    /// Receives whether the network was joined, or why not.
    pub(super) reply: oneshot::Sender<Result<(), String>>,
}

/// The network and the country that a request names.
///
/// # Errors
/// What is wrong with the request.
pub(super) fn parse(
    join: &JoinRequest,
) -> Result<(WifiNetwork, Option<CountryCode>), &'static str> {
    let ssid = join.ssid.parse();
    let ssid = ssid.map_err(|_| "a network's name has 1 to 32 bytes and no control characters")?;
    if join.password.as_deref().is_some_and(|p| !crate::config::is_wifi_password(p)) {
        return Err("a network's password has 8 to 63 printable ASCII characters");
    }
    let country = join.country.as_deref().map(str::parse).transpose();
    let country = country.map_err(|_| "a country is two capital letters, such as DE")?;
    let password = join.password.as_deref().map(Secret::new);
    Ok((WifiNetwork { ssid, password, hidden: join.hidden }, country))
}
