//! The peer connection: ICE, DTLS and SRTP are the library's; what is offered is ours.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, bail};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MIME_TYPE_RTX};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp::Packet;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::mpsc;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription, Registry,
    SettingEngineBuilder, configure_nack, configure_rtcp_reports,
};

/// The clock of video in RTP (RFC 6184 §8.2.1).
pub const CLOCK_RATE: u32 = 90_000;

/// A connection to one camera.
pub struct Connection {
    peer: Box<dyn PeerConnection>,
    events: mpsc::UnboundedReceiver<Event>,
}

/// What the library tells us, as far as a viewer wants to know.
enum Event {
    Gathered,
    Track(Arc<dyn TrackRemote>),
    Failed,
}

impl Connection {
    /// A connection that receives at `local`.
    pub async fn new(local: IpAddr) -> anyhow::Result<Self> {
        let mut codecs = MediaEngine::default();
        // Constrained baseline is what cameras mostly send, High what files may hold. A decoder
        // that can do more says so here; the level is no promise (level-asymmetry-allowed).
        for (payload_type, profile_level) in [(102, "42e01f"), (104, "64001f")] {
            codecs.register_codec(h264(payload_type, profile_level), RtpCodecKind::Video)?;
            codecs.register_codec(rtx(payload_type), RtpCodecKind::Video)?;
        }
        // NACK has what was lost sent again; reports let the camera's owner see how we fare.
        let interceptors = configure_nack(Registry::new(), &mut codecs);
        let interceptors = configure_rtcp_reports(interceptors);

        // A camera's candidates are addresses, not .local names; and where the network has no
        // multicast, listening for such names would fail.
        let settings =
            SettingEngineBuilder::new().with_multicast_dns_mode(MulticastDnsMode::Disabled).build();

        let (sender, events) = mpsc::unbounded_channel();
        let peer = PeerConnectionBuilder::new()
            .with_media_engine(codecs)
            .with_setting_engine(settings)
            .with_interceptor_registry(interceptors)
            .with_handler(Arc::new(Handler(sender)))
            .with_udp_addrs(vec![SocketAddr::from((local, 0))])
            .build()
            .await?;
        let receive_only = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Recvonly,
            ..Default::default()
        };
        peer.add_transceiver_from_kind(RtpCodecKind::Video, Some(receive_only)).await?;
        Ok(Self { peer: Box::new(peer), events })
    }

    /// The offer, complete with candidates: they are there at once, so there is nothing to
    /// trickle.
    pub async fn offer(&mut self) -> anyhow::Result<String> {
        let offer = self.peer.create_offer(None).await?;
        self.peer.set_local_description(offer).await?;
        while !matches!(self.next_event().await?, Event::Gathered) {}
        let offer = self.peer.local_description().await.context("no offer was made")?;
        Ok(offer.sdp)
    }

    /// Takes up the camera's answer.
    pub async fn accept(&mut self, answer: &str) -> anyhow::Result<()> {
        let answer = RTCSessionDescription::answer(answer.to_owned())
            .context("the camera's answer cannot be read")?;
        self.peer.set_remote_description(answer).await.context("the camera's answer does not fit")
    }

    /// Waits for the video to begin.
    pub async fn stream(&mut self) -> anyhow::Result<Stream> {
        loop {
            match self.next_event().await? {
                Event::Track(track) => return Ok(Stream(track)),
                Event::Failed => bail!("the connection failed"),
                Event::Gathered => {}
            }
        }
    }

    /// Says goodbye (DTLS `close_notify`).
    pub async fn close(&self) {
        if let Err(error) = self.peer.close().await {
            log::debug!("closing: {error}");
        }
    }

    async fn next_event(&mut self) -> anyhow::Result<Event> {
        self.events.recv().await.context("the connection is gone")
    }
}

/// The camera's video.
pub struct Stream(Arc<dyn TrackRemote>);

/// What comes next.
pub enum Received {
    Packet(Packet),
    End,
}

impl Stream {
    /// The next packet, in the order in which they arrive.
    pub async fn next(&self) -> Received {
        loop {
            match self.0.poll().await {
                Some(TrackRemoteEvent::OnRtpPacket(packet)) => return Received::Packet(packet),
                Some(TrackRemoteEvent::OnEnded) | None => return Received::End,
                Some(_) => {}
            }
        }
    }

    /// Asks for a picture that needs no other (PLI, RFC 4585 §6.3.1). There is no harm in asking
    /// for one more: the camera makes at most two a second, whoever asks.
    pub async fn request_key_picture(&self) -> anyhow::Result<()> {
        for media_ssrc in self.0.ssrcs().await {
            let request = PictureLossIndication { sender_ssrc: 0, media_ssrc };
            self.0.write_rtcp(vec![Box::new(request)]).await?;
        }
        Ok(())
    }
}

/// Hands the library's events on.
struct Handler(mpsc::UnboundedSender<Event>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.0.send(Event::Gathered);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        log::info!("the connection is {state}");
        if state == RTCPeerConnectionState::Failed {
            let _ = self.0.send(Event::Failed);
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let _ = self.0.send(Event::Track(track));
    }
}

/// H.264 in packetization mode 1 (single NAL units, STAP-A and FU-A: RFC 6184 §6.3), which
/// cameras need because a picture is larger than a packet.
fn h264(payload_type: u8, profile_level: &str) -> RTCRtpCodecParameters {
    let feedback =
        |typ: &str, parameter: &str| RTCPFeedback { typ: typ.into(), parameter: parameter.into() };
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: MIME_TYPE_H264.into(),
            clock_rate: CLOCK_RATE,
            channels: 0,
            sdp_fmtp_line: format!(
                "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile_level}"
            ),
            rtcp_feedback: vec![feedback("nack", ""), feedback("nack", "pli")],
        },
        payload_type,
    }
}

/// Retransmissions for the payload type before it (RFC 4588).
fn rtx(payload_type: u8) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: MIME_TYPE_RTX.into(),
            clock_rate: CLOCK_RATE,
            channels: 0,
            sdp_fmtp_line: format!("apt={payload_type}"),
            rtcp_feedback: Vec::new(),
        },
        payload_type: payload_type + 1,
    }
}
