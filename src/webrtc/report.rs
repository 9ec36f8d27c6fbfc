//! What can be told about a session, in the words of W3C's WebRTC and WebRTC-stats.

use std::net::SocketAddr;

use serde::Serialize;

/// One viewer's session.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionReport {
    /// The session's name in the API: 32 hexadecimal digits.
    pub id: String,
    /// The camera that is watched.
    pub camera: String,
    /// Seconds since the offer came.
    pub age: f64,
    /// `RTCPeerConnectionState`.
    pub connection_state: &'static str,
    /// `RTCSignalingState`; always "stable", because an offer is answered at once.
    pub signaling_state: &'static str,
    /// `RTCIceConnectionState`.
    pub ice_connection_state: &'static str,
    /// `RTCIceGatheringState`; "complete", because the answer holds every candidate.
    pub ice_gathering_state: &'static str,
    /// The connection's transports; one, because everything is bundled.
    pub transport: TransportReport,
    /// The transceivers, one for each track that is sent.
    pub transceivers: Vec<TransceiverReport>,
    /// Counters.
    pub stats: StatsReport,
}

/// `RTCDtlsTransport` and the `RTCIceTransport` under it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransportReport {
    /// `RTCDtlsTransportState`.
    pub dtls_state: &'static str,
    /// `RTCIceTransportState`.
    pub ice_state: &'static str,
    /// `RTCIceRole`.
    pub ice_role: &'static str,
    /// `RTCIceComponent`.
    pub ice_component: &'static str,
    /// `RTCSctpTransportState`, or null without data channels.
    pub sctp_state: Option<&'static str>,
    /// "udp" or "tcp", by which the selected pair's datagrams travel.
    pub protocol: Option<&'static str>,
    /// Our end of the selected pair.
    pub local: Option<SocketAddr>,
    /// The viewer's end of the selected pair.
    pub remote: Option<SocketAddr>,
}

/// `RTCRtpTransceiver` with its sender. There is no receiver: a camera's viewer sends nothing.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransceiverReport {
    /// The m-section's tag.
    pub mid: String,
    /// What the owner set.
    pub direction: &'static str,
    /// What was negotiated and is in force.
    pub current_direction: &'static str,
    /// Whether it has ended.
    pub stopped: bool,
    /// The sender.
    pub sender: SenderReport,
}

/// `RTCRtpSender`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SenderReport {
    /// The track being sent.
    pub track: TrackReport,
    /// `RTCRtpEncodingParameters`.
    pub encodings: Vec<EncodingReport>,
    /// "video/H264".
    pub mime_type: &'static str,
    /// Payload type.
    pub payload_type: u8,
    /// The negotiated `profile-level-id`.
    pub profile_level_id: String,
}

/// `MediaStreamTrack`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackReport {
    /// "video", as in the answer's msid.
    pub id: &'static str,
    /// "video".
    pub kind: &'static str,
    /// False while paused.
    pub enabled: bool,
    /// True while the camera gives no picture.
    pub muted: bool,
    /// "live" or "ended".
    pub ready_state: &'static str,
}

/// `RTCRtpEncodingParameters`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EncodingReport {
    /// Which of the camera's encodes is sent.
    pub rid: &'static str,
    /// Whether it is being sent.
    pub active: bool,
    /// SSRC of the video.
    pub ssrc: u32,
    /// SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
}

/// `RTCOutboundRtpStreamStats` and `RTCRemoteInboundRtpStreamStats`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatsReport {
    /// RTP packets sent, retransmissions not counted.
    pub packets_sent: u64,
    /// Payload bytes in them.
    pub bytes_sent: u64,
    /// Pictures sent.
    pub frames_sent: u64,
    /// Key frames among them.
    pub key_frames_sent: u64,
    /// Packets sent again.
    pub retransmitted_packets_sent: u64,
    /// Payload bytes sent again.
    pub retransmitted_bytes_sent: u64,
    /// Packets the viewer reported missing.
    pub nack_count: u64,
    /// Picture loss indications received.
    pub pli_count: u64,
    /// Full intra requests received.
    pub fir_count: u64,
    /// Times the viewer was so far behind that pictures were skipped.
    pub skips: u64,
    /// Share of packets lost on the way since the last report but one, 0 to 1.
    pub fraction_lost: Option<f64>,
    /// Packets lost on the way, before retransmission.
    pub packets_lost: Option<i64>,
    /// Variation of packet spacing, in seconds.
    pub jitter: Option<f64>,
    /// Round-trip time in seconds.
    pub round_trip_time: Option<f64>,
    /// What the viewer believes its network can carry, in bits a second (REMB).
    pub available_bitrate: Option<u64>,
    /// Seconds from the offer to the first packet of the first picture.
    pub time_to_first_picture: Option<f64>,
}

impl std::iter::Sum for StatsReport {
    /// Counts of several tracks together; of what is no count, the worst.
    fn sum<I: Iterator<Item = Self>>(tracks: I) -> Self {
        let worse = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::max);
        tracks.fold(Self::default(), |sum, track| Self {
            packets_sent: sum.packets_sent + track.packets_sent,
            bytes_sent: sum.bytes_sent + track.bytes_sent,
            frames_sent: sum.frames_sent + track.frames_sent,
            key_frames_sent: sum.key_frames_sent + track.key_frames_sent,
            retransmitted_packets_sent: sum.retransmitted_packets_sent
                + track.retransmitted_packets_sent,
            retransmitted_bytes_sent: sum.retransmitted_bytes_sent + track.retransmitted_bytes_sent,
            nack_count: sum.nack_count + track.nack_count,
            pli_count: sum.pli_count + track.pli_count,
            fir_count: sum.fir_count + track.fir_count,
            skips: sum.skips + track.skips,
            fraction_lost: worse(sum.fraction_lost, track.fraction_lost),
            packets_lost: sum
                .packets_lost
                .into_iter()
                .chain(track.packets_lost)
                .reduce(|a, b| a + b),
            jitter: worse(sum.jitter, track.jitter),
            ..sum
        })
    }
}
