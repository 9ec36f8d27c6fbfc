//! What is said once the camera can be watched: where, and what it means that no password is set.

use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;

use super::parts::system_name;
use crate::config::Auth;

/// Most addresses that are told. Who runs many virtual machines has many.
const MOST: usize = 4;

/// Where the camera can be watched, and by whom. Prints as lines for its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Hosts of URLs.
    hosts: Vec<String>,
    port: u16,
    /// Of HTTPS, where it is served.
    secure_port: Option<u16>,
    door: Door,
}

/// Who gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Whoever knows the password, or a token.
    Guarded,
    /// No password is set, and nobody else can reach it.
    OnlyHere,
    /// No password is set.
    Unset,
    Locked,
}

impl Welcome {
    /// For a server at `address`. `name` is what the device is found by on its network.
    pub(super) fn new(address: SocketAddr, name: Option<String>, auth: &Auth) -> Self {
        let addresses = if address.ip().is_unspecified() { own(address.ip()) } else { Vec::new() };
        Self::of(address, name, addresses, auth)
    }

    fn of(address: SocketAddr, name: Option<String>, own: Vec<IpAddr>, auth: &Auth) -> Self {
        let host = |ip: &IpAddr| match ip {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        let mut hosts: Vec<String> = Vec::new();
        if address.ip().is_unspecified() {
            hosts.extend(name.map(|name| format!("{name}.local")));
            hosts.extend(own.iter().map(host));
            if hosts.is_empty() {
                hosts.push("127.0.0.1".to_owned());
            }
        } else {
            hosts.push(host(&address.ip()));
        }
        let door = match auth {
            Auth::Locked { .. } => Door::Locked,
            Auth::Set(_) => Door::Guarded,
            Auth::Unset if address.ip().is_loopback() => Door::OnlyHere,
            Auth::Unset => Door::Unset,
        };
        Self { hosts, port: address.port(), secure_port: None, door }
    }

    /// With HTTPS at this port, if it is served.
    pub(super) fn with_https(self, secure_port: Option<u16>) -> Self {
        Self { secure_port, ..self }
    }
}

impl fmt::Display for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = |port, usual| match port {
            port if port == usual => String::new(),
            port => format!(":{port}"),
        };
        let port = address(self.port, 80);
        let mut hosts = self.hosts.iter();
        if let Some(first) = hosts.next() {
            write!(f, "picket: watch at http://{first}{port}/")?;
        }
        for host in hosts {
            write!(f, "\npicket:       or http://{host}{port}/")?;
        }
        if let (Some(secure), Some(first)) = (self.secure_port, self.hosts.first()) {
            let secure = address(secure, 443);
            write!(
                f,
                "\npicket: encrypted at https://{first}{secure}/; how to make browsers trust it: \
                 http://{first}{port}/secure"
            )?;
        }
        match self.door {
            Door::Guarded => Ok(()),
            Door::OnlyHere => {
                f.write_str("\npicket: no password is set: everybody on this machine may watch")
            }
            Door::Unset => f.write_str(
                "\npicket: no password is set yet: whoever opens the page first, from another \
                 machine, sets it; until then only this machine may watch",
            ),
            Door::Locked => f.write_str(
                "\npicket: nobody can sign in until the configuration is fixed; the log says where",
            ),
        }
    }
}

/// The name by which this machine answers on its network where the image's own program does not do
/// that: Avahi does it on most systems, by the system's own name.
pub(super) fn name_of_the_system() -> Option<String> {
    if !Path::new("/run/avahi-daemon/socket").exists() {
        return None;
    }
    system_name().map(|(_, label)| label)
}

/// The addresses at which others reach this machine, the one it reaches others by first.
fn own(wildcard: IpAddr) -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let up = interfaces.iter().filter(|interface| interface.is_oper_up());
    let useful = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_unspecified(),
        IpAddr::V6(v6) => wildcard.is_ipv6() && !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    let mut found: Vec<IpAddr> = up.map(|interface| interface.ip()).filter(useful).collect();
    let preferred = preferred();
    // IPv4 is what people can type.
    found.sort_by_key(|ip| (Some(*ip) != preferred, ip.is_ipv6(), *ip));
    found.dedup();
    found.truncate(MOST);
    found
}

/// The address from which the rest of the world is reached. Nothing is sent to find out.
fn preferred() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // RFC 5737: an address for examples.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Credentials, Secret};

    fn said(address: &str, name: Option<&str>, own: &[&str], auth: &Auth) -> String {
        let own = own.iter().map(|ip| ip.parse().unwrap()).collect();
        Welcome::of(address.parse().unwrap(), name.map(str::to_owned), own, auth).to_string()
    }

    fn guarded() -> Auth {
        Auth::Set(Credentials { password: None, tokens: vec![Secret::new("0123456789abcdef")] })
    }

    #[test]
    fn the_addresses_are_ones_that_can_be_opened() {
        assert_eq!(
            said("0.0.0.0:8000", Some("garden"), &["192.168.1.7"], &guarded()),
            "picket: watch at http://garden.local:8000/\npicket:       or http://192.168.1.7:8000/"
        );
        assert_eq!(
            said("[::]:80", None, &["192.168.1.7", "fd00::7"], &guarded()),
            "picket: watch at http://192.168.1.7/\npicket:       or http://[fd00::7]/"
        );
        // A machine without a network.
        assert_eq!(said("0.0.0.0:80", None, &[], &guarded()), "picket: watch at http://127.0.0.1/");
        let one = said("192.168.1.7:8000", Some("garden"), &[], &guarded());
        assert_eq!(one, "picket: watch at http://192.168.1.7:8000/");
    }

    #[test]
    fn the_secure_page_is_told_where_there_is_one() {
        let welcome = |address: &str, secure| {
            let address = address.parse().unwrap();
            let name = Some("garden".to_owned());
            Welcome::of(address, name, Vec::new(), &guarded()).with_https(Some(secure)).to_string()
        };
        let told = welcome("0.0.0.0:80", 443);
        let line = "encrypted at https://garden.local/; how to make browsers trust it: \
                    http://garden.local/secure";
        assert!(told.contains(line), "{told}");
        let told = welcome("127.0.0.1:8000", 8443);
        assert!(told.contains("https://127.0.0.1:8443/"), "{told}");
    }

    #[test]
    fn it_is_said_who_gets_in_where_no_password_guards_it() {
        let unset = said("0.0.0.0:8000", None, &["10.0.0.2"], &Auth::Unset);
        assert!(unset.contains("no password is set yet: whoever opens the page first"), "{unset}");
        let here = said("127.0.0.1:8000", None, &[], &Auth::Unset);
        assert!(here.contains("everybody on this machine may watch"), "{here}");
        let locked = Auth::Locked { why: "x".into() };
        assert!(said("127.0.0.1:8000", None, &[], &locked).contains("nobody can sign in"));
    }

    #[test]
    fn no_address_of_this_machine_stands_for_all_or_for_itself_alone() {
        for wildcard in ["0.0.0.0", "::"] {
            for ip in own(wildcard.parse().unwrap()) {
                assert!(!ip.is_unspecified() && !ip.is_loopback(), "{ip}");
            }
        }
    }
}
