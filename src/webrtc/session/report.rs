//! Telling the session's state in the words of W3C's WebRTC.

use std::time::Instant;

use str0m::IceConnectionState;
use str0m::net::Protocol;

use super::{End, Phase, Sender, Session};
use crate::hub::{SourceState, TrackId};
use crate::webrtc::report::{
    EncodingReport, SenderReport, SessionReport, StatsReport, TrackReport, TransceiverReport,
    TransportReport,
};

impl Session {
    /// Everything that can be told about the session.
    pub(in crate::webrtc) fn report(
        &self,
        now: Instant,
        camera: &str,
        source: &SourceState,
    ) -> SessionReport {
        let (connection, ice, dtls) = self.states();
        SessionReport {
            id: self.id.clone(),
            camera: camera.to_owned(),
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
            transceivers: self.senders.iter().map(|s| self.transceiver(s, source)).collect(),
            stats: StatsReport {
                round_trip_time: self.rtt.map(|rtt| rtt.as_secs_f64()).or_else(|| {
                    self.senders.iter().find_map(|sender| sender.stats.round_trip_time)
                }),
                available_bitrate: self.available_bitrate,
                time_to_first_picture: self.time_to_first_picture.map(|t| t.as_secs_f64()),
                ..self.senders.iter().map(Sender::stats).sum()
            },
        }
    }

    fn transceiver(&self, sender: &Sender, source: &SourceState) -> TransceiverReport {
        let ended = self.ended().is_some() || *source == SourceState::Ended;
        let (kind, rid) = match sender.track_id() {
            TrackId::Video(layer) => ("video", layer.rid()),
            TrackId::Audio => ("audio", "main"),
        };
        let payload = &sender.track.payload;
        TransceiverReport {
            mid: sender.track.mid.clone(),
            direction: sender.direction.name(),
            current_direction: if sender.is_sending() { "sendonly" } else { "inactive" },
            stopped: self.ended().is_some(),
            sender: SenderReport {
                track: TrackReport {
                    id: kind,
                    kind,
                    enabled: sender.is_sending(),
                    muted: !matches!(source, SourceState::Live(_)),
                    ready_state: if ended { "ended" } else { "live" },
                },
                encodings: vec![EncodingReport {
                    rid,
                    active: sender.active,
                    ssrc: sender.ssrc(),
                    rtx_ssrc: sender.retransmission().map(|rtx| rtx.ssrc),
                }],
                mime_type: "video/H264",
                payload_type: payload.pt,
                profile_level_id: payload.profile_level.to_string(),
            },
        }
    }

    /// `RTCPeerConnectionState`.
    pub(in crate::webrtc) fn connection_state(&self) -> &'static str {
        self.states().0
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
