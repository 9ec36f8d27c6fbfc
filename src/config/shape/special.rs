//! Shapes of one value each, and those of secrets.

use std::fmt::Display;
use std::str::FromStr;

use super::compound::{Fields, List, Maybe};
use super::{Parsed, Place, Refusals, Shape, Switch, Text, Value, int, kind, number, real};
use crate::config::secret::HIDDEN;
use crate::config::{
    Bitrate, Gains, IceServer, IceUrl, PrivateUrl, Roi, Secret, Source, Ssid, Timezone, Tls,
    WifiNetwork, is_wifi_password, zone,
};

/// A rate: a number of bits a second, or a string with a unit.
pub(in crate::config) struct Rate;

impl Shape<Bitrate> for Rate {
    fn expects(&self) -> String {
        let (min, max) = (Bitrate::MIN.bps(), Bitrate::MAX.bps());
        format!("a whole number from {min} to {max}, or short such as \"2500k\" or \"2M\"")
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<Bitrate> {
        let rate = match value.get_ref().as_str() {
            Some(text) => text.parse().ok(),
            None => int(value).and_then(|bps| Bitrate::from_bps(u32::try_from(bps).ok()?)),
        };
        rate.or_else(|| self.refuse(value, refusals))
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
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<Roi> {
        let roi = numbers(value).map(|[x, y, width, height]| Roi { x, y, width, height });
        let inside = |from: f64, length: f64| from >= 0.0 && length > 0.0 && from + length <= 1.0;
        roi.filter(|roi| inside(roi.x, roi.width) && inside(roi.y, roi.height))
            .or_else(|| self.refuse(value, refusals))
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
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<Gains> {
        let pair = numbers(value)
            .filter(|pair: &[f64; 2]| pair.iter().all(|gain| (self.0..=self.1).contains(gain)));
        pair.map(|[red, blue]| Gains { red, blue }).or_else(|| self.refuse(value, refusals))
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

/// `{ cert = …, key = … }`
pub(in crate::config) struct TlsTable;

impl Shape<Tls> for TlsTable {
    fn expects(&self) -> String {
        "a table with `cert` and `key`, the names of two PEM files".to_owned()
    }
    fn hides(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<Tls> {
        let before = refusals.len();
        let fields = Fields::open(value, &["cert", "key"], refusals);
        let mut file = |name| {
            let field = fields.as_ref()?.get(name)?;
            Place("the name of a PEM file").read(field, refusals)
        };
        match (file("cert"), file("key")) {
            (Some(cert), Some(key)) => Some(Tls { cert, key }),
            _ if refusals.len() > before => None,
            _ => self.refuse(value, refusals),
        }
    }
    fn write(&self, tls: &Tls) -> Option<toml::Value> {
        let name = |path: &std::path::Path| toml::Value::from(path.display().to_string());
        let fields = [("cert", name(&tls.cert)), ("key", name(&tls.key))];
        Some(toml::Value::Table(fields.map(|(k, v)| (k.to_owned(), v)).into_iter().collect()))
    }
}

/// `{ urls = …, username = …, credential = … }`
pub(in crate::config) struct IceServerTable;

impl IceServerTable {
    const URL: Parsed = Parsed("an address such as \"stun:stun.example.org:3478\"");
    const USERNAME: Maybe<Text> = Maybe(Text(512));
    const CREDENTIAL: Maybe<Hidden> = Maybe(Hidden(1, 512));
}

impl Shape<IceServer> for IceServerTable {
    fn expects(&self) -> String {
        "a table with `urls` (\"stun:…\", \"turn:…\", or a list of them) and, for TURN, `username` \
         and `credential`"
            .to_owned()
    }
    fn hides(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<IceServer> {
        let before = refusals.len();
        let fields = Fields::open(value, &["urls", "username", "credential"], refusals);
        let Some((fields, urls)) = fields.and_then(|f| f.get("urls").map(|urls| (f, urls))) else {
            return self.refuse(value, refusals);
        };
        let urls: Vec<IceUrl> = if urls.get_ref().is_array() {
            List(Self::URL).read(urls, refusals)?
        } else {
            vec![Self::URL.read(urls, refusals)?]
        };
        let username = fields.get("username").map(|v| Self::USERNAME.read(v, refusals));
        let credential = fields.get("credential").map(|v| Self::CREDENTIAL.read(v, refusals));
        let server = IceServer {
            urls,
            username: username.flatten().flatten(),
            credential: credential.flatten().flatten(),
        };
        let relay = server.urls.iter().any(IceUrl::is_turn);
        let known = server.username.is_some() && server.credential.is_some();
        match server {
            server if !server.urls.is_empty() && (known || !relay) => Some(server),
            // What is missing may have been refused, and told, just now.
            _ if refusals.len() > before => None,
            _ => self.refuse(value, refusals),
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
    fn hides(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<WifiNetwork> {
        let before = refusals.len();
        let fields = Fields::open(value, &["ssid", "password", "hidden"], refusals);
        let Some((fields, ssid)) = fields.and_then(|f| f.get("ssid").map(|ssid| (f, ssid))) else {
            return self.refuse(value, refusals);
        };
        let ssid: Option<Ssid> = Self::SSID.read(ssid, refusals);
        let password = fields.get("password").and_then(|v| Passphrase.read(v, refusals));
        let hidden = fields.get("hidden").and_then(|v| Switch.read(v, refusals));
        // Half of it is of no use: without its password, an open network of the same name would
        // be joined instead.
        (refusals.len() == before).then_some(WifiNetwork {
            ssid: ssid?,
            password,
            hidden: hidden.unwrap_or_default(),
        })
    }
    fn write(&self, network: &WifiNetwork) -> Option<toml::Value> {
        let fields = [
            ("ssid", Self::SSID.write(&network.ssid)),
            ("password", Maybe(Passphrase).write(&network.password)),
            ("hidden", Switch.write(&network.hidden)),
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
    fn hides(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<Secret> {
        let text = value.get_ref().as_str();
        let secret = text.filter(|text| is_wifi_password(text)).map(Secret::new);
        if secret.is_none() {
            let found = text.map_or(kind(value.get_ref()), |_| "another string");
            refusals.push(value.span(), format!("expects {}, found {found}", self.expects()));
        }
        secret
    }
    fn write(&self, _: &Secret) -> Option<toml::Value> {
        Some(HIDDEN.into())
    }
}

/// A camera's source. What follows the colon may hold a password and is never shown.
pub(in crate::config) struct SourceName;

impl Shape<Source> for SourceName {
    fn expects(&self) -> String {
        "\"auto\", \"pattern\", \"libcamera\", \"libcamera:N\", \"v4l2:/dev/videoN\" or \
         \"file:NAME\""
            .to_owned()
    }
    fn hides(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<Source> {
        let text = value.get_ref().as_str();
        if let Some(source) = text.and_then(|text| text.parse().ok()) {
            return Some(source);
        }
        // Of one that is unknown, or is none, even the scheme may be a part of a password.
        let scheme = text.and_then(|text| text.split_once(':')).map(|(scheme, _)| scheme);
        match scheme.filter(|scheme| Source::SCHEMES.contains(scheme)) {
            Some(scheme) => {
                let message = format!("expects {}, found \"{scheme}:…\"", self.expects());
                refusals.push(value.span(), message);
                None
            }
            None => self.refuse(value, refusals),
        }
    }
    fn write(&self, source: &Source) -> Option<toml::Value> {
        Some(source.to_string().into())
    }
}

/// A time zone. For one that there is not, the message has the one that may have been meant.
pub(in crate::config) struct ZoneName;

impl Shape<Timezone> for ZoneName {
    fn expects(&self) -> String {
        "a time zone such as \"Europe/Berlin\"".to_owned()
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<Timezone> {
        let text = value.get_ref().as_str();
        if let Some(zone) = text.and_then(|text| text.parse().ok()) {
            return Some(zone);
        }
        let meant = text.and_then(zone::meant);
        let zone = Shape::<Timezone>::refuse(self, value, refusals);
        if let Some(meant) = meant {
            refusals.add_to_last(&format!("; did you mean \"{meant}\"?"));
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
        Shape::<PrivateUrl>::expects(&Unseen(self.0))
    }
    fn hides(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<PrivateUrl> {
        let url: PrivateUrl = Unseen(self.0).read(value, refusals)?;
        if url.is_of_the_web() {
            return Some(url);
        }
        let message =
            format!("expects {}, found one that is not http:// or https:// and a host", self.0);
        refusals.push(value.span(), message);
        None
    }
    fn write(&self, url: &PrivateUrl) -> Option<toml::Value> {
        Unseen(self.0).write(url)
    }
}

/// Text that is never shown, of so many to so many characters.
pub(in crate::config) struct Hidden(pub usize, pub usize);

impl Shape<Secret> for Hidden {
    fn expects(&self) -> String {
        format!("a string of {} to {} characters", self.0, self.1)
    }
    fn hides(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<Secret> {
        let text = value.get_ref().as_str();
        let found = match text.map(|text| text.chars().count()) {
            Some(length) if length < self.0 => "a shorter one",
            Some(length) if length > self.1 => "a longer one",
            Some(_) => return text.map(Secret::new),
            None => kind(value.get_ref()),
        };
        refusals.push(value.span(), format!("expects {}, found {found}", self.expects()));
        None
    }
    fn write(&self, _: &Secret) -> Option<toml::Value> {
        Some(HIDDEN.into())
    }
}

/// A string that a type can parse and that may hold a secret: it is not shown when it is wrong,
/// and the type prints it without its secret part.
pub(in crate::config) struct Unseen(pub &'static str);

impl<T: FromStr + Display> Shape<T> for Unseen {
    fn expects(&self) -> String {
        self.0.to_owned()
    }
    fn hides(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, refusals: &mut Refusals) -> Option<T> {
        let parsed = value.get_ref().as_str().and_then(|text| text.parse().ok());
        if parsed.is_none() {
            let found = match kind(value.get_ref()) {
                "a string" => "a string of another form",
                other => other,
            };
            refusals.push(value.span(), format!("expects {}, found {found}", self.0));
        }
        parsed
    }
    fn write(&self, value: &T) -> Option<toml::Value> {
        Some(value.to_string().into())
    }
}
