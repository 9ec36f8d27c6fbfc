//! The session's way to its viewer: candidates, credentials, restarts, and which pair of addresses
//! is in use.

use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::ice::StunMessage;
use str0m::{Candidate, IceCreds};

use super::Session;
use crate::webrtc::candidates::may_be_checked;
use crate::webrtc::demux::{Demux, Key, is_sealed};
use crate::webrtc::sdp::{Credentials, Fragment, Setup, Transport};

/// Candidates taken from a viewer between two restarts of ICE, beside those of its offer.
const MAX_REMOTE_CANDIDATES: usize = 32;

impl Session {
    /// Tells the library about the viewer's transport, and about nothing else: the one m-section
    /// is inactive. A viewer that is `ice_lite` leaves the checks and the choice to us.
    pub(super) fn describe(&mut self, ice_lite: bool) -> Result<(), String> {
        let Transport { credentials, candidates, fingerprint, setup } = &self.remote;
        let Credentials { ufrag, pwd } = credentials;
        let ice_lite = if ice_lite { "a=ice-lite\r\n" } else { "" };
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n{ice_lite}\
             m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=inactive\r\n\
             a=rtcp-mux\r\na=rtpmap:96 H264/90000\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n\
             a=fingerprint:{fingerprint}\r\na=setup:{}\r\n",
            setup.name()
        );
        let offer = SdpOffer::from_sdp_string(&text).map_err(|e| e.to_string())?;
        self.rtc.sdp_api().accept_offer(offer).map_err(|e| e.to_string())?;
        for candidate in candidates.clone() {
            self.add_remote(&candidate);
        }
        Ok(())
    }

    /// Takes up addresses at which we can be reached. Returns those to tell the viewer, with the
    /// priorities that they have among each other.
    pub(in crate::webrtc) fn add_local_candidates(
        &mut self,
        all: Vec<Candidate>,
    ) -> Vec<Candidate> {
        let mut told = Vec::with_capacity(all.len());
        for candidate in all {
            let same = |known: &&Candidate| {
                (known.addr(), known.proto(), known.kind())
                    == (candidate.addr(), candidate.proto(), candidate.kind())
            };
            // The library would take one that it has for a better one, and give up its pairs.
            let known = self.local_candidates.iter().find(same).cloned();
            let known = known.or_else(|| {
                let added = self.rtc.add_local_candidate(candidate)?.clone();
                self.local_candidates.push(added.clone());
                Some(added)
            });
            told.extend(known);
        }
        told
    }

    /// Finds out which of its transports the viewer has chosen for all sections: the one in whose
    /// name it checks whether it can reach us (RFC 8445 §7.2.2).
    pub(super) fn recognize(&mut self, datagram: &[u8]) {
        if datagram.first().is_none_or(|b| *b >= 4) {
            return;
        }
        let Ok(message) = StunMessage::parse(datagram) else { return };
        let name = message.split_username().filter(|_| message.is_binding_request());
        let Some((_, theirs)) = name.filter(|_| is_sealed(&message, &self.local.pwd)) else {
            return;
        };
        if let Some(at) = self.others.iter().position(|t| t.credentials.ufrag == theirs) {
            std::mem::swap(&mut self.remote, &mut self.others[at]);
            let Credentials { ufrag, pwd } = self.remote.credentials.clone();
            self.rtc.direct_api().set_remote_ice_credentials(IceCreds { ufrag, pass: pwd });
            for candidate in self.remote.candidates.clone() {
                self.add_remote(&candidate);
            }
        } else if theirs != self.remote.credentials.ufrag {
            return;
        }
        // It has chosen for good.
        self.others.clear();
    }

    /// Adds candidates the viewer found later.
    pub(in crate::webrtc) fn trickle(&mut self, fragment: &Fragment, now: Instant) {
        self.checks.grant(fragment.len);
        let room = MAX_REMOTE_CANDIDATES.saturating_sub(self.trickled);
        for candidate in fragment.candidates.iter().take(room) {
            self.add_remote(candidate);
            self.trickled += 1;
        }
        self.wake_library = now;
    }

    /// Restarts ICE with the viewer's new credentials (RFC 8445 §9); `local` are our new ones.
    /// Media goes on over the old path until a new one is found.
    ///
    /// # Errors
    /// As [`Session::new`]; the session then goes on as it was.
    pub(in crate::webrtc) fn restart(
        &mut self,
        remote: Credentials,
        fragment: &Fragment,
        local: Credentials,
        now: Instant,
    ) -> Result<(), String> {
        let setup = Setup::ActPass;
        let candidates = fragment.candidates.clone();
        let new = Transport { credentials: remote, candidates, setup, ..self.remote.clone() };
        let former = std::mem::replace(&mut self.remote, new);
        if let Err(error) = self.describe(false) {
            self.remote = former;
            return Err(error);
        }
        let creds = IceCreds { ufrag: local.ufrag.clone(), pass: local.pwd.clone() };
        self.rtc.direct_api().set_local_ice_credentials(creds);
        self.checks.grant(fragment.len);
        self.others.clear();
        self.trickled = 0;
        self.local = local;
        self.wake_library = now;
        Ok(())
    }

    /// Tells the demultiplexer which answers are for this session.
    pub(in crate::webrtc) fn tell_asked(&mut self, key: Key, demux: &mut Demux) {
        self.checks.tell(key, &self.remote.credentials.pwd, demux);
    }

    /// Tells the library of an address that the viewer says it is at.
    fn add_remote(&mut self, candidate: &Candidate) {
        if may_be_checked(candidate, self.by.path.viewer) {
            self.rtc.add_remote_candidate(candidate.clone());
        }
    }
}
