//! Shapes of one value each, and those of secrets.

use std::fmt::Display;
use std::str::FromStr;

use super::compound::{Fields, List, Optional};
use super::{Boolean, Parsed, Shape, Text, Value, ValueErrors, int, number, real, type_name};
use crate::config::secret::REDACTED;
use crate::config::values::zone;
use crate::config::{
    Bitrate, Gains, IceServer, IceUrl, PrivateUrl, Roi, Secret, Source, Ssid, Timezone,
    WifiNetwork, is_wifi_password,
};

/// A rate: a number of bits a second, or a string with a unit.
pub(in crate::config) struct Rate;

impl Shape<Bitrate> for Rate {
    fn expects(&self) -> String {
        let (min, max) = (Bitrate::MIN.bps(), Bitrate::MAX.bps());
        format!("a whole number from {min} to {max}, or short such as \"2500k\" or \"2M\"")
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Bitrate> {
        let rate = match value.get_ref().as_str() {
            Some(text) => text.parse().ok(),
            None => int(value).and_then(|bps| Bitrate::from_bps(u32::try_from(bps).ok()?)),
        };
        rate.or_else(|| self.reject(value, errors))
    }
    fn write(&self, value: &Bitrate) -> Option<toml::Value> {
        Some(i64::from(value.bps()).into())
    }
}

/// A part of the picture: `[x, y, width, height]`.
pub(in crate::config) struct Region;

impl Shape<Roi> for Region {
    fn expects(&self) -> String {
        "`[x, y, width, height]`, each a share from 0 to 1, within the picture".to_owned()
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Roi> {
        let roi = numbers(value).map(|[x, y, width, height]| Roi { x, y, width, height });
        let inside = |from: f64, length: f64| from >= 0.0 && length > 0.0 && from + length <= 1.0;
        roi.filter(|roi| inside(roi.x, roi.width) && inside(roi.y, roi.height))
            .or_else(|| self.reject(value, errors))
    }
    fn write(&self, roi: &Roi) -> Option<toml::Value> {
        Some([roi.x, roi.y, roi.width, roi.height].map(number).to_vec().into())
    }
}

/// Two gains, each from the first to the second number: `[red, blue]`.
pub(in crate::config) struct RedBlue(pub f64, pub f64);

impl Shape<Gains> for RedBlue {
    fn expects(&self) -> String {
        format!("`[red, blue]`, each a number from {} to {}", self.0, self.1)
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Gains> {
        let pair = numbers(value)
            .filter(|pair: &[f64; 2]| pair.iter().all(|gain| (self.0..=self.1).contains(gain)));
        pair.map(|[red, blue]| Gains { red, blue }).or_else(|| self.reject(value, errors))
    }
    fn write(&self, gains: &Gains) -> Option<toml::Value> {
        Some([gains.red, gains.blue].map(number).to_vec().into())
    }
}

/// A list of exactly `N` numbers.
fn numbers<const N: usize>(value: &Value<'_>) -> Option<[f64; N]> {
    let list = value.get_ref().as_array()?;
    let numbers: Option<Vec<f64>> = list.iter().map(real).collect();
    numbers?.try_into().ok()
}

/// `{ urls = …, username = …, credential = … }`
pub(in crate::config) struct IceServerTable;

impl IceServerTable {
    const URL: Parsed = Parsed("an address such as \"stun:stun.example.org:3478\"");
    const USERNAME: Optional<Text> = Optional(Text(512));
    const CREDENTIAL: Optional<SecretText> = Optional(SecretText(1, 512));
}

impl Shape<IceServer> for IceServerTable {
    fn expects(&self) -> String {
        "a table with `urls` (\"stun:…\", \"turn:…\", or a list of them) and, for TURN, `username` \
         and `credential`"
            .to_owned()
    }
    fn is_sensitive(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<IceServer> {
        let before = errors.len();
        let fields = Fields::open(value, &["urls", "username", "credential"], errors);
        let Some((fields, urls)) = fields.and_then(|f| f.get("urls").map(|urls| (f, urls))) else {
            return self.reject(value, errors);
        };
        let urls: Vec<IceUrl> = if urls.get_ref().is_array() {
            List(Self::URL).read(urls, errors)?
        } else {
            vec![Self::URL.read(urls, errors)?]
        };
        let username = fields.get("username").map(|v| Self::USERNAME.read(v, errors));
        let credential = fields.get("credential").map(|v| Self::CREDENTIAL.read(v, errors));
        let server = IceServer {
            urls,
            username: username.flatten().flatten(),
            credential: credential.flatten().flatten(),
        };
        let relay = server.urls.iter().any(IceUrl::is_turn);
        let known = server.username.is_some() && server.credential.is_some();
        match server {
            server if !server.urls.is_empty() && (known || !relay) => Some(server),
            // What is missing may have been rejected, with a message, just now.
            _ if errors.len() > before => None,
            _ => self.reject(value, errors),
        }
    }
    fn write(&self, server: &IceServer) -> Option<toml::Value> {
        let fields = [
            ("urls", List(Self::URL).write(&server.urls)),
            ("username", Self::USERNAME.write(&server.username)),
            ("credential", Self::CREDENTIAL.write(&server.credential)),
        ];
        let fields = fields.into_iter().filter_map(|(name, field)| Some((name.to_owned(), field?)));
        Some(toml::Value::Table(fields.collect()))
    }
}

/// `{ ssid = …, password = …, hidden = … }`
pub(in crate::config) struct WifiTable;

impl WifiTable {
    const SSID: Parsed = Parsed("a network's name of 1 to 32 bytes");
}

impl Shape<WifiNetwork> for WifiTable {
    fn expects(&self) -> String {
        "a table with `ssid` and, unless the network is open, `password`; and `hidden`".to_owned()
    }
    fn is_sensitive(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<WifiNetwork> {
        let before = errors.len();
        let fields = Fields::open(value, &["ssid", "password", "hidden"], errors);
        let Some((fields, ssid)) = fields.and_then(|f| f.get("ssid").map(|ssid| (f, ssid))) else {
            return self.reject(value, errors);
        };
        let ssid: Option<Ssid> = Self::SSID.read(ssid, errors);
        let password = fields.get("password").and_then(|v| Passphrase.read(v, errors));
        let hidden = fields.get("hidden").and_then(|v| Boolean.read(v, errors));
        // A part of it is not used: without its password, an open network of the same name would be
        // joined instead.
        (errors.len() == before).then_some(WifiNetwork {
            ssid: ssid?,
            password,
            hidden: hidden.unwrap_or_default(),
        })
    }
    fn write(&self, network: &WifiNetwork) -> Option<toml::Value> {
        let fields = [
            ("ssid", Self::SSID.write(&network.ssid)),
            ("password", Optional(Passphrase).write(&network.password)),
            ("hidden", Boolean.write(&network.hidden)),
        ];
        let fields = fields.into_iter().filter_map(|(name, field)| Some((name.to_owned(), field?)));
        Some(toml::Value::Table(fields.collect()))
    }
}

/// The password of a wireless network.
pub(in crate::config) struct Passphrase;

impl Shape<Secret> for Passphrase {
    fn expects(&self) -> String {
        "a passphrase of 8 to 63 printable ASCII characters, or a key of 64 hexadecimal digits"
            .to_owned()
    }
    fn is_sensitive(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Secret> {
        let text = value.get_ref().as_str();
        let secret = text.filter(|text| is_wifi_password(text)).map(Secret::new);
        if secret.is_none() {
            let found = text.map_or(type_name(value.get_ref()), |_| "another string");
            errors.push(value.span(), format!("expects {}, found {found}", self.expects()));
        }
        secret
    }
    fn write(&self, _: &Secret) -> Option<toml::Value> {
        Some(REDACTED.into())
    }
}

/// A camera's source. What follows the colon may hold a password and is never shown.
pub(in crate::config) struct SourceName;

impl Shape<Source> for SourceName {
    fn expects(&self) -> String {
        "\"auto\", \"pattern\", \"libcamera\", \"libcamera:N\", \"libcamera:ID\", \"v4l2:/dev/videoN\" or \
         \"file:NAME\""
            .to_owned()
    }
    fn is_sensitive(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Source> {
        let text = value.get_ref().as_str();
        if let Some(source) = text.and_then(|text| text.parse().ok()) {
            return Some(source);
        }
        // If the scheme is unknown, even that may be a part of a password.
        let scheme = text.and_then(|text| text.split_once(':')).map(|(scheme, _)| scheme);
        match scheme.filter(|scheme| Source::SCHEMES.contains(scheme)) {
            Some(scheme) => {
                let message = format!("expects {}, found \"{scheme}:…\"", self.expects());
                errors.push(value.span(), message);
                None
            }
            None => self.reject(value, errors),
        }
    }
    fn write(&self, source: &Source) -> Option<toml::Value> {
        Some(source.to_string().into())
    }
}

/// A time zone. The message about one that does not exist names the one that may have been meant.
pub(in crate::config) struct ZoneName;

impl Shape<Timezone> for ZoneName {
    fn expects(&self) -> String {
        "a time zone such as \"Europe/Berlin\"".to_owned()
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Timezone> {
        let text = value.get_ref().as_str();
        if let Some(zone) = text.and_then(|text| text.parse().ok()) {
            return Some(zone);
        }
        let meant = text.and_then(zone::meant);
        let zone = Shape::<Timezone>::reject(self, value, errors);
        if let Some(meant) = meant {
            errors.add_to_last(&format!("; did you mean \"{meant}\"?"));
        }
        zone
    }
    fn write(&self, zone: &Timezone) -> Option<toml::Value> {
        Some(zone.to_string().into())
    }
}

/// The address of something on a web server. It may hold a password, so it is not shown.
pub(in crate::config) struct WebUrl(pub &'static str);

impl Shape<PrivateUrl> for WebUrl {
    fn expects(&self) -> String {
        Shape::<PrivateUrl>::expects(&SensitiveParsed(self.0))
    }
    fn is_sensitive(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<PrivateUrl> {
        let url: PrivateUrl = SensitiveParsed(self.0).read(value, errors)?;
        if url.is_of_the_web() {
            return Some(url);
        }
        let message = format!(
            "expects {}, found one that is not http:// or https:// followed by a host",
            self.0
        );
        errors.push(value.span(), message);
        None
    }
    fn write(&self, url: &PrivateUrl) -> Option<toml::Value> {
        SensitiveParsed(self.0).write(url)
    }
}

/// Text that is never shown, with the fewest and the most characters it may have.
pub(in crate::config) struct SecretText(pub usize, pub usize);

impl Shape<Secret> for SecretText {
    fn expects(&self) -> String {
        format!("a string of {} to {} characters", self.0, self.1)
    }
    fn is_sensitive(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Secret> {
        let text = value.get_ref().as_str();
        let found = match text.map(|text| text.chars().count()) {
            Some(length) if length < self.0 => "a shorter one",
            Some(length) if length > self.1 => "a longer one",
            Some(_) => return text.map(Secret::new),
            None => type_name(value.get_ref()),
        };
        errors.push(value.span(), format!("expects {}, found {found}", self.expects()));
        None
    }
    fn write(&self, _: &Secret) -> Option<toml::Value> {
        Some(REDACTED.into())
    }
}

/// A string that a type can parse and that may hold a secret: it is not shown when it is wrong,
/// and the type prints it without its secret part.
pub(in crate::config) struct SensitiveParsed(pub &'static str);

impl<T: FromStr + Display> Shape<T> for SensitiveParsed {
    fn expects(&self) -> String {
        self.0.to_owned()
    }
    fn is_sensitive(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<T> {
        let parsed = value.get_ref().as_str().and_then(|text| text.parse().ok());
        if parsed.is_none() {
            let found = match type_name(value.get_ref()) {
                "a string" => "a string of another form",
                other => other,
            };
            errors.push(value.span(), format!("expects {}, found {found}", self.0));
        }
        parsed
    }
    fn write(&self, value: &T) -> Option<toml::Value> {
        Some(value.to_string().into())
    }
}
