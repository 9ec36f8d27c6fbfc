//! One configured server: its name, our conversation with it, and what is wrong with it.

use std::net::SocketAddr;
use std::time::Instant;

use super::binding::Binding;
use super::name::Name;
use super::turn::Turn;
use super::url::{IceServer, ServerUrl, Service};

pub(super) struct Server {
    pub(super) url: ServerUrl,
    pub(super) name: Name,
    pub(super) client: Client,
    problem: Option<Problem>,
}

pub(super) enum Client {
    Stun(Binding),
    Turn(Box<Turn>),
}

/// Why a server is of no use at present.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("its name cannot be resolved; check the name and the network's name server")]
    Unresolved,
    #[error("{0} does not answer; check the address, and that UDP to it is not blocked")]
    Silent(SocketAddr),
    #[error("it refuses the username or credential; check both in ice_servers")]
    Credentials,
    #[error("it refuses with {code} {reason:?}")]
    Refused { code: u16, reason: String },
    #[error("it has lost our relay address, perhaps by a restart; asking for a new one")]
    Lost,
    #[error("its answer makes no sense: {0}")]
    Nonsense(&'static str),
}

/// How a server is doing, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub url: String,
    /// Our address as this server sees it.
    pub mapped: Option<SocketAddr>,
    pub relay: Option<SocketAddr>,
    pub problem: Option<Problem>,
}

impl Server {
    /// `None`: it is of use to viewers only.
    pub(super) fn new(url: ServerUrl, entry: &IceServer, now: Instant) -> Option<Self> {
        if !url.usable_here() {
            log::info!("{url} is for viewers; the camera itself uses stun: and turn: over UDP");
            return None;
        }
        let client = match url.service {
            Service::Stun => Client::Stun(Binding::new(now)),
            Service::Turn => Client::Turn(Box::new(Turn::new(
                entry.username.as_deref()?,
                entry.credential.as_deref()?,
                now,
            ))),
        };
        Some(Self { name: Name::new(&url, now), url, client, problem: None })
    }

    pub(super) fn turn(&mut self) -> Option<&mut Turn> {
        match &mut self.client {
            Client::Turn(turn) => Some(turn),
            Client::Stun(_) => None,
        }
    }

    /// The address we talk to.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match &self.client {
            Client::Stun(binding) => binding.server(),
            Client::Turn(turn) => turn.server(),
        }
    }

    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        match &self.client {
            Client::Stun(binding) => binding.mapped(),
            Client::Turn(turn) => turn.mapped(),
        }
    }

    pub(super) fn relay(&self) -> Option<SocketAddr> {
        match &self.client {
            Client::Stun(_) => None,
            Client::Turn(turn) => turn.relay(),
        }
    }

    /// Tells the owner of a problem once, not at every try.
    pub(super) fn note(&mut self, outcome: Result<(), Problem>) {
        match outcome {
            Err(problem) => {
                if self.problem.as_ref() != Some(&problem) {
                    log::warn!("{}: {problem}", self.url);
                }
                self.problem = Some(problem);
            }
            Ok(()) if self.mapped().is_some() || self.relay().is_some() => {
                if self.problem.take().is_some() {
                    log::info!("{} works again", self.url);
                }
            }
            Ok(()) => {}
        }
    }

    pub(super) fn status(&self) -> Status {
        Status {
            url: self.url.to_string(),
            mapped: self.mapped(),
            relay: self.relay(),
            problem: self.problem.clone(),
        }
    }
}
