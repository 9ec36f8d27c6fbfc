//! Where the certificate for HTTPS comes from.

use super::compound::{Fields, List};
use super::{FilePath, Parsed, SensitiveParsed, Shape, Value, ValueErrors, WebUrl};
use crate::config::{Acme, DnsChallenge, Host, PrivateUrl, Tls, TsigKey};

/// `"off"`, `"auto"`, `{ cert = …, key = … }` or `{ acme = …, … }`.
pub(in crate::config) struct TlsSource;

/// What a table may have in it: of files, and of ACME.
const FILES: [&str; 2] = ["cert", "key"];
const ACME: [&str; 7] = ["acme", "email", "directory", "root", "hook", "dns_server", "dns_key"];

const NAME: Parsed = Parsed("a host name such as \"cam.example.org\"");
const EMAIL: Parsed = Parsed("an address such as \"owner@example.org\"");
const DIRECTORY: WebUrl = WebUrl("a URL such as \"https://acme.example/directory\"");
const ROOT: FilePath = FilePath("the name of a PEM file");
const HOOK: FilePath = FilePath("the name of a program");
const DNS_SERVER: Parsed = Parsed("a host or address, with a port or without");
const DNS_KEY: SensitiveParsed = SensitiveParsed(
    "a key as nsupdate takes it, \"hmac-sha256:NAME:BASE64\" (hmac-sha384 and hmac-sha512, too)",
);

impl Shape<Tls> for TlsSource {
    fn expects(&self) -> String {
        "\"off\", \"auto\", a table with `cert` and `key`, the names of two PEM files, or a table \
         with `acme`, a host name or several, and either `hook` or `dns_server` and `dns_key`; \
         beside them `email`, `directory` and `root`"
            .to_owned()
    }
    fn is_sensitive(&self) -> bool {
        true
    }
    fn read(&self, value: &Value<'_>, errors: &mut ValueErrors) -> Option<Tls> {
        match value.get_ref().as_str() {
            Some("off") => return Some(Tls::Off),
            Some("auto") => return Some(Tls::Auto),
            _ => {}
        }
        let before = errors.len();
        let is_acme = value.get_ref().as_table().is_some_and(|table| table.contains_key("acme"));
        let known: &[&str] = if is_acme { &ACME } else { &FILES };
        let fields = Fields::open(value, known, errors);
        let read = fields.and_then(|fields| {
            if is_acme {
                acme(&fields, errors).map(Box::new).map(Tls::Acme)
            } else {
                let mut file = |name| ROOT.read(fields.get(name)?, errors);
                let (cert, key) = (file("cert"), file("key"));
                Some(Tls::Files { cert: cert?, key: key? })
            }
        });
        match read {
            // A part of it that cannot be used may be what it depends on.
            Some(tls) if errors.len() == before => Some(tls),
            _ if errors.len() > before => None,
            _ => self.reject(value, errors),
        }
    }
    fn write(&self, tls: &Tls) -> Option<toml::Value> {
        let fields = match tls {
            Tls::Off => return Some("off".into()),
            Tls::Auto => return Some("auto".into()),
            Tls::Files { cert, key } => vec![("cert", ROOT.write(cert)), ("key", ROOT.write(key))],
            Tls::Acme(acme) => {
                let Acme { names, email, directory, root, challenge } = &**acme;
                let (hook, server, key) = match challenge {
                    DnsChallenge::Hook(hook) => (HOOK.write(hook), None, None),
                    DnsChallenge::Update { server, key } => {
                        (None, Some(server.as_str().into()), DNS_KEY.write(key))
                    }
                };
                vec![
                    ("acme", List(NAME).write(names)),
                    ("email", email.as_ref().and_then(|email| EMAIL.write(email))),
                    ("directory", directory.as_ref().and_then(|url| DIRECTORY.write(url))),
                    ("root", root.as_ref().and_then(|root| ROOT.write(root))),
                    ("hook", hook),
                    ("dns_server", server),
                    ("dns_key", key),
                ]
            }
        };
        let fields = fields.into_iter().filter_map(|(name, field)| Some((name.to_owned(), field?)));
        Some(toml::Value::Table(fields.collect()))
    }
}

fn acme(fields: &Fields<'_, '_>, errors: &mut ValueErrors) -> Option<Acme> {
    let names = fields.get("acme")?;
    let names: Vec<Host> = if names.get_ref().is_array() {
        List(NAME).read(names, errors)?
    } else {
        vec![NAME.read(names, errors)?]
    };
    // An authority vouches for names.
    let all_names = !names.is_empty() && names.iter().all(|name| name.is_public_name());
    let email = fields.get("email").map(|value| EMAIL.read(value, errors));
    let directory: Option<Option<PrivateUrl>> =
        fields.get("directory").map(|value| DIRECTORY.read(value, errors));
    let root = fields.get("root").map(|value| ROOT.read(value, errors));
    let hook = fields.get("hook").map(|value| HOOK.read(value, errors));
    let server = fields.get("dns_server").map(|value| DNS_SERVER.read(value, errors));
    let key: Option<Option<TsigKey>> =
        fields.get("dns_key").map(|value| DNS_KEY.read(value, errors));
    let challenge = match (hook.flatten(), server.flatten(), key.flatten()) {
        (Some(hook), None, None) => DnsChallenge::Hook(hook),
        (None, Some(server), Some(key)) => DnsChallenge::Update { server, key },
        _ => return None,
    };
    all_names.then_some(Acme {
        names,
        email: email.flatten(),
        directory: directory.flatten(),
        root: root.flatten(),
        challenge,
    })
}
