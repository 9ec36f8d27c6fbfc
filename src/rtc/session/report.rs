//! Telling the session's state in the words of W3C's WebRTC.

use std::time::Instant;

use str0m::IceConnectionState;
use str0m::net::Protocol;

use super::{End, Phase, Session};
use crate::hub::SourceState;
use crate::rtc::egress::Egress;
use crate::rtc::report::{
    EncodingReport, SenderReport, SessionReport, StatsReport, TrackReport, TransceiverReport,
    TransportReport,
};

impl Session {
    /// Everything that can be told about the session.
    pub(in crate::rtc) fn report(&self, now: Instant, source: &SourceState) -> SessionReport {
        let (connection, ice, dtls) = self.states();
        let sent = self.egress.as_ref().map(Egress::sent).unwrap_or_default();
        let ended = self.ended().is_some() || *source == SourceState::Ended;
        SessionReport {
            id: self.id.clone(),
            age: now.saturating_duration_since(self.created).as_secs_f64(),
            connection_state: connection,
            signaling_state: "stable",
            ice_connection_state: ice,
            ice_gathering_state: "complete",
            transport: TransportReport {
                dtls_state: dtls,
                ice_state: ice,
                ice_role: self.ice_role,
                ice_component: "rtp",
                sctp_state: None,
                protocol: self
                    .path
                    .map(|p| if p.protocol == Protocol::Udp { "udp" } else { "tcp" }),
                local: self.path.map(|p| p.local),
                remote: self.path.map(|p| p.remote),
            },
            transceivers: vec![TransceiverReport {
                mid: self.mid.clone(),
                direction: self.direction.name(),
                current_direction: if self.sending() { "sendonly" } else { "inactive" },
                stopped: self.ended().is_some(),
                sender: SenderReport {
                    track: TrackReport {
                        id: "video",
                        kind: "video",
                        enabled: self.sending(),
                        muted: !matches!(source, SourceState::Live(_)),
                        ready_state: if ended { "ended" } else { "live" },
                    },
                    encodings: vec![EncodingReport {
                        rid: self.viewer.layer().rid(),
                        active: self.active,
                        ssrc: self.parameters.ssrc,
                        rtx_ssrc: self.parameters.payload.rtx.map(|_| self.parameters.rtx_ssrc),
                    }],
                    mime_type: "video/H264",
                    payload_type: self.parameters.payload.pt,
                    profile_level_id: self.parameters.payload.profile_level.to_string(),
                },
            }],
            stats: StatsReport {
                packets_sent: sent.packets,
                bytes_sent: sent.payload_bytes,
                frames_sent: sent.pictures,
                key_frames_sent: sent.key_pictures,
                retransmitted_packets_sent: sent.retransmitted_packets,
                retransmitted_bytes_sent: sent.retransmitted_bytes,
                round_trip_time: self
                    .rtt
                    .map(|rtt| rtt.as_secs_f64())
                    .or(self.stats.round_trip_time),
                ..self.stats.clone()
            },
        }
    }

    /// `RTCPeerConnectionState`, `RTCIceConnectionState` and `RTCDtlsTransportState`.
    fn states(&self) -> (&'static str, &'static str, &'static str) {
        let ice = match self.ice {
            IceConnectionState::New => "new",
            IceConnectionState::Checking => "checking",
            IceConnectionState::Connected => "connected",
            IceConnectionState::Completed => "completed",
            IceConnectionState::Disconnected => "disconnected",
        };
        match self.phase {
            Phase::Connecting if self.path.is_some() => ("connecting", ice, "connecting"),
            Phase::Connecting if ice == "new" => ("new", ice, "new"),
            Phase::Connecting => ("connecting", ice, "new"),
            Phase::Connected if ice == "disconnected" => ("disconnected", ice, "connected"),
            Phase::Connected => ("connected", ice, "connected"),
            Phase::Closing(_) => ("closed", "closed", "closed"),
            Phase::Ended(End::Failed | End::NeverConnected | End::ConsentLost) => {
                ("failed", "failed", "failed")
            }
            Phase::Ended(_) => ("closed", "closed", "closed"),
        }
    }
}
