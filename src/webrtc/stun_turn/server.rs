//! One configured server: its name, our conversation with it, and what is wrong with it.

use std::net::SocketAddr;
use std::time::Instant;

use super::binding::Binding;
use super::name::Name;
use super::status::ServerProblem;
#[cfg(any(test, feature = "testing"))]
use super::status::ServerStatus;
use super::turn::Turn;
use super::url::{IceServer, ServerUrl, Service};

pub(super) struct Server {
    pub(super) url: ServerUrl,
    pub(super) name: Name,
    pub(super) client: Client,
    problem: Option<ServerProblem>,
}

pub(super) enum Client {
    Stun(Binding),
    Turn(Box<Turn>),
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
    pub(super) fn note(&mut self, outcome: Result<(), ServerProblem>) {
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

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn status(&self) -> ServerStatus {
        ServerStatus {
            url: self.url.to_string(),
            mapped: self.mapped(),
            relay: self.relay(),
            problem: self.problem.clone(),
        }
    }
}
