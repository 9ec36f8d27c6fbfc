//! `picket lease EVENT`: the script of udhcpc, the DHCP client. It passes the lease on to the
//! steward, so that all addresses are set in one place.

use std::net::{IpAddr, Ipv4Addr};

use crate::appliance::{CONTROL_SOCKET, DhcpLease, StewardClient, StewardError, StewardRequest};

/// Passes on the lease that udhcpc describes in environment variables
/// (busybox's `examples/udhcp/udhcpc_script`).
///
/// # Errors
/// When the steward refuses it or cannot be reached.
pub fn report_lease(event: &str) -> Result<(), StewardError> {
    match read(event, |name| std::env::var(name).ok()) {
        Some(lease) => {
            StewardClient::at(CONTROL_SOCKET).ask_blocking(&StewardRequest::Lease(lease)).map(drop)
        }
        None => Ok(()),
    }
}

/// Reads the variables. They come from the network: what is not an address is left out.
fn read(event: &str, variable: impl Fn(&str) -> Option<String>) -> Option<DhcpLease> {
    let link = variable("interface")?;
    let address = match event {
        "bound" | "renew" => {
            let address: Ipv4Addr = variable("ip")?.parse().ok()?;
            let prefix = variable("mask").and_then(|mask| mask.parse().ok());
            let prefix = prefix.filter(|prefix: &u8| (1..=32).contains(prefix)).unwrap_or(24);
            Some((address, prefix))
        }
        "deconfig" => None,
        _ => return None,
    };
    let list = |name: &str| variable(name).unwrap_or_default();
    let (routers, dns) = (list("router"), list("dns"));
    let routers = routers.split_whitespace().filter_map(|ip| ip.parse().ok()).collect();
    let dns = dns.split_whitespace().filter_map(|ip| ip.parse::<IpAddr>().ok());
    Some(DhcpLease { link, address, routers, dns: dns.take(3).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).into())
    }

    #[test]
    fn a_lease_is_read_and_nonsense_in_it_left_out() {
        let variables = said(&[
            ("interface", "eth0"),
            ("ip", "192.168.1.7"),
            ("mask", "16"),
            ("router", "192.168.1.1 $(reboot)"),
            ("dns", "192.168.1.1 `id` 10.0.0.1"),
        ]);
        let lease = read("bound", &variables).unwrap();
        assert_eq!(lease.address, Some(("192.168.1.7".parse().unwrap(), 16)));
        assert_eq!((lease.routers.len(), lease.dns.len()), (1, 2));
        assert_eq!(read("deconfig", &variables).unwrap().address, None);
        assert_eq!(read("leasefail", &variables), None);
        assert_eq!(read("bound", said(&[("interface", "eth0"), ("ip", "x")])), None);
    }
}
