//! Whom a relay may exchange packets with: permissions (RFC 8656 §9), by address, and channels
//! (§12), by address and port.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::lease::Lease;
use super::wire::Ask;

/// RFC 8656 §9.
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);

/// RFC 8656 §12.
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

/// Neither the number nor the peer of an ended channel may be bound otherwise for this long
/// (RFC 8656 §12).
const CHANNEL_REST: Duration = Duration::from_secs(300);

/// A peer unheard of for this long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(300);

/// Bytes after which a peer gets a channel. Connectivity checks stay below (a hundred bytes each,
/// nine at most), and so do consent checks for minutes; the first key frame is far above.
const CHANNEL_AFTER: usize = 4096;

/// Bounds of the tables: a stranger's offer may name any number of addresses.
const MAX_PERMISSIONS: usize = 128;
const MAX_FLOWS: usize = 256;

/// RFC 8656 §12.
const CHANNEL_NUMBERS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;

/// How a packet gets to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Channel(u16),
    Indication,
    /// Not yet permitted; it is being asked for.
    Closed,
}

/// The peers of one relay.
#[derive(Debug)]
pub(super) struct Peers {
    permissions: HashMap<IpAddr, Lease>,
    flows: HashMap<SocketAddr, Flow>,
    next_number: u16,
    urgent: bool,
}

/// What goes to one address and port.
#[derive(Debug)]
enum Flow {
    /// So many bytes so far.
    Small { bytes: usize, used: Instant },
    /// Enough for a channel.
    Channel { number: u16, lease: Lease },
}

impl Flow {
    fn is_forgotten(&self, now: Instant) -> bool {
        match self {
            Self::Small { used, .. } => *used + FORGET_AFTER <= now,
            Self::Channel { lease, .. } => lease.forgotten_after(CHANNEL_REST, now),
        }
    }
}

impl Peers {
    pub(super) fn new() -> Self {
        Self {
            permissions: HashMap::new(),
            flows: HashMap::new(),
            next_number: *CHANNEL_NUMBERS.start(),
            urgent: false,
        }
    }

    /// Wants packets of `ip` to pass. Whether they do.
    pub(super) fn permit(&mut self, now: Instant, ip: IpAddr) -> bool {
        if !self.permissions.contains_key(&ip) && self.permissions.len() >= MAX_PERMISSIONS {
            // The one least likely to be missed: not granted, or idle the longest.
            let least = self.permissions.iter();
            let least = least.min_by_key(|(_, lease)| (lease.valid(now), lease.used()));
            if let Some(least) = least.map(|(ip, _)| *ip) {
                self.permissions.remove(&least);
            }
        }
        let lease = self.permissions.entry(ip);
        let lease = lease.or_insert_with(|| Lease::wanted(now));
        lease.touch(now);
        self.urgent |= lease.due().is_some_and(|due| due <= now);
        lease.valid(now)
    }

    /// How `bytes` get to `peer`; they count as sent.
    pub(super) fn route(&mut self, now: Instant, peer: SocketAddr, bytes: usize) -> Route {
        if !self.permit(now, peer.ip()) {
            return Route::Closed;
        }
        let room = self.flows.len() < MAX_FLOWS;
        let flow = match self.flows.get_mut(&peer) {
            Some(flow) => flow,
            None if room => self.flows.entry(peer).or_insert(Flow::Small { bytes: 0, used: now }),
            None => return Route::Indication,
        };
        match flow {
            Flow::Channel { number, lease } => {
                lease.touch(now);
                self.urgent |= lease.due().is_some_and(|due| due <= now);
                if lease.valid(now) {
                    return Route::Channel(*number);
                }
            }
            Flow::Small { bytes: sum, used } => {
                *used = now;
                *sum = sum.saturating_add(bytes);
                if *sum >= CHANNEL_AFTER {
                    self.open_channel(now, peer);
                }
            }
        }
        Route::Indication
    }

    fn open_channel(&mut self, now: Instant, peer: SocketAddr) {
        // Fewer flows than numbers: one is always free.
        let taken = |number| {
            let mut flows = self.flows.values();
            flows.any(|flow| matches!(flow, Flow::Channel { number: n, .. } if *n == number))
        };
        let mut number = self.next_number;
        while taken(number) {
            number = after(number);
        }
        self.next_number = after(number);
        let lease = Lease::wanted(now);
        self.flows.insert(peer, Flow::Channel { number, lease });
        self.urgent = true;
    }

    /// The peer of a channel something arrived on.
    pub(super) fn received_on(&mut self, now: Instant, number: u16) -> Option<SocketAddr> {
        // A handful of flows and a handful of packets a second: no index is worth its upkeep.
        let mut flows = self.flows.iter_mut();
        let peer = flows.find_map(|(peer, flow)| match flow {
            Flow::Channel { number: n, lease } if *n == number => {
                lease.touch(now);
                Some(*peer)
            }
            _ => None,
        })?;
        self.permit(now, peer.ip());
        Some(peer)
    }

    /// Whether something from `ip` in a Data indication is expected (RFC 8656 §11.4).
    pub(super) fn received_from(&mut self, now: Instant, ip: IpAddr) -> bool {
        self.permissions.contains_key(&ip) && self.permit(now, ip)
    }

    /// Whether something new is wanted since the last call.
    pub(super) fn take_urgent(&mut self) -> bool {
        std::mem::take(&mut self.urgent)
    }

    /// The next thing to ask the server for; it counts as asked.
    pub(super) fn next_ask(&mut self, now: Instant) -> Option<Ask> {
        let due = |lease: &Lease| lease.due().is_some_and(|at| at <= now);
        let mut permissions = self.permissions.iter_mut();
        if let Some((ip, lease)) = permissions.find(|(_, lease)| due(lease)) {
            lease.asked();
            return Some(Ask::Permit(*ip));
        }
        let mut flows = self.flows.iter_mut();
        flows.find_map(|(peer, flow)| match flow {
            Flow::Channel { number, lease } if due(lease) => {
                lease.asked();
                Some(Ask::Bind { number: *number, peer: *peer })
            }
            _ => None,
        })
    }

    /// When the next thing is to be asked for.
    pub(super) fn due(&self) -> Option<Instant> {
        let flows = self.flows.values().filter_map(|flow| match flow {
            Flow::Channel { lease, .. } => lease.due(),
            Flow::Small { .. } => None,
        });
        let permissions = self.permissions.values().filter_map(Lease::due);
        permissions.chain(flows).min()
    }

    /// The server said yes.
    pub(super) fn granted(&mut self, now: Instant, ask: Ask) {
        match ask {
            Ask::Permit(ip) => {
                if let Some(lease) = self.permissions.get_mut(&ip) {
                    lease.granted(now + PERMISSION_LIFETIME);
                }
            }
            Ask::Bind { peer, .. } => {
                if let Some(lease) = self.channel(peer) {
                    lease.granted(now + CHANNEL_LIFETIME);
                }
            }
            Ask::Binding | Ask::Allocate(_) | Ask::Refresh(_) => {}
        }
    }

    /// The server said no, or nothing.
    pub(super) fn refused(&mut self, now: Instant, ask: Ask) {
        let lease = match ask {
            Ask::Permit(ip) => self.permissions.get_mut(&ip),
            Ask::Bind { peer, .. } => self.channel(peer),
            Ask::Binding | Ask::Allocate(_) | Ask::Refresh(_) => None,
        };
        if let Some(lease) = lease {
            lease.refused(now);
        }
    }

    fn channel(&mut self, peer: SocketAddr) -> Option<&mut Lease> {
        match self.flows.get_mut(&peer)? {
            Flow::Channel { lease, .. } => Some(lease),
            Flow::Small { .. } => None,
        }
    }

    /// The allocation is gone. Permissions in use are asked for again with the next one; channels
    /// are made again by traffic.
    pub(super) fn reset(&mut self) {
        self.flows.clear();
        self.permissions.values_mut().for_each(Lease::reset);
    }

    /// Forgets whom nobody has heard of for long.
    pub(super) fn sweep(&mut self, now: Instant) {
        let forgotten = |lease: &Lease| lease.forgotten_after(FORGET_AFTER, now);
        self.permissions.retain(|_, lease| !forgotten(lease));
        self.flows.retain(|_, flow| !flow.is_forgotten(now));
    }
}

fn after(number: u16) -> u16 {
    if number < *CHANNEL_NUMBERS.end() { number + 1 } else { *CHANNEL_NUMBERS.start() }
}
