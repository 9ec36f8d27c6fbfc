//! The camera as plain RTP, for what speaks no WebRTC: ffmpeg, VLC, a recorder.
//!
//! `cargo run --release --example rtp_out -- 127.0.0.1:5004 camera.sdp`, then `ffplay -protocol_whitelist
//! file,udp,rtp camera.sdp`. RTP goes to the port named, sender reports (RTCP) to the one after it.
//!
//! Nothing is encrypted, and whoever receives cannot ask for a key frame: for a cable, or one machine.

use std::error::Error;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use picket::media::h264::{NalType, SpsInfo};
use picket::media::{AccessUnit, MediaTime, utc_now};
use picket::rtp::{
    DatagramBatch, HeaderExtensions, Packetizer, RtpParameters, RtpStream, Unprotected,
};
use picket::stream::{Stream, TrackId};
use picket::{ConfigSource, Picket, start_logging};

/// The payload type, one of those that mean what the session description says (RFC 3551 §6).
const PAYLOAD_TYPE: u8 = 96;

/// RFC 6184 §8.2.1.
const CLOCK_RATE: u32 = 90_000;

/// How often a sender report is sent (RFC 3550 §6.2).
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// What a receiver needs to know (RFC 8866), with the stream's own parameter sets (RFC 6184 §8.1).
fn description(to: SocketAddr, key_frame: &AccessUnit) -> Result<String, Box<dyn Error>> {
    let of = |kind| key_frame.nals().find(|nal| NalType::of(nal) == kind);
    let (Some(sps), Some(pps)) = (of(NalType::Sps), of(NalType::Pps)) else {
        return Err("a key frame has its parameter sets".into());
    };
    let family = if to.is_ipv4() { "IP4" } else { "IP6" };
    Ok(format!(
        "v=0\r\no=- 0 0 IN {family} {ip}\r\ns=Picket\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=video {port} RTP/AVP {PAYLOAD_TYPE}\r\n\
         a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_RATE}\r\n\
         a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={profile};\
         sprop-parameter-sets={},{}\r\n",
        Base64::encode_string(sps),
        Base64::encode_string(pps),
        ip = to.ip(),
        port = to.port(),
        profile = SpsInfo::parse(sps)?.profile_level,
    ))
}

/// Sends all there is in a batch. That nobody listens yet is all right.
fn send(socket: &UdpSocket, to: SocketAddr, batch: &mut DatagramBatch) -> std::io::Result<()> {
    for (bytes, segment) in batch.runs() {
        for datagram in bytes.chunks(segment) {
            match socket.send_to(datagram, to) {
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                sent => drop(sent?),
            }
        }
    }
    batch.clear();
    Ok(())
}

/// Runs beside [`Picket::run`], on a thread and an async runtime of its own.
#[tokio::main(flavor = "current_thread")]
async fn send_stream(stream: Stream, to: SocketAddr, file: PathBuf) -> Result<(), Box<dyn Error>> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0))?;
    let parameters = RtpParameters {
        payload_type: PAYLOAD_TYPE,
        clock_rate: CLOCK_RATE,
        extensions: HeaderExtensions::default(),
        ssrc: fastrand::u32(..),
        retransmission: None,
        cname: format!("{:016x}", fastrand::u64(..)),
        timestamp_offset: fastrand::u32(..),
    };
    let mut rtp = RtpStream::new(parameters, Unprotected, fastrand::u16(..));
    let (mut packetizer, mut batch) = (Packetizer::default(), DatagramBatch::default());
    let reports = SocketAddr::new(to.ip(), to.port() + 1);
    let mut reported: Option<Instant> = None;
    let mut written: Option<String> = None;
    let mut follower = stream.follow(TrackId::MAIN);
    loop {
        let sample = follower.next().await;
        // The parameter sets are others when the camera, or its size, has changed.
        if let Some(key_frame) = sample.sample.video().filter(|unit| unit.is_key()) {
            let description = Some(description(to, key_frame)?);
            if description != written {
                std::fs::write(&file, description.as_deref().unwrap_or_default())?;
                println!("receive it by {}", file.display());
                written = description;
            }
        }
        let packetized = packetizer.packetize(&sample);
        let now = MediaTime::now();
        rtp.send(&packetized, 0..packetized.payloads.len(), now, &mut batch)?;
        send(&socket, to, &mut batch)?;
        if reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            reported = Some(Instant::now());
            rtp.sender_report(now, utc_now(), &mut batch)?;
            send(&socket, reports, &mut batch)?;
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    const USAGE: &str = "usage: rtp_out ADDRESS:PORT SDP_FILE [KEY=VALUE]...";
    start_logging(log::LevelFilter::Info);
    let mut arguments = std::env::args().skip(1);
    let to: SocketAddr = arguments.next().ok_or(USAGE)?.parse()?;
    let file = arguments.next().ok_or(USAGE)?.into();
    // Settings come from the command line: `-- 127.0.0.1:5004 camera.sdp encoder.keyframe_interval=2`.
    let sets = arguments.collect();
    let (config, problems) = ConfigSource { sets, ..ConfigSource::default() }.load(None);
    problems.iter().for_each(|problem| log::warn!("{problem}"));
    let picket = Picket::builder(config).build()?;
    println!("watch at http://{}/", picket.address());
    let stream = picket.stream("main").ok_or("there is always a main camera")?;
    let stopper = picket.stopper();
    std::thread::spawn(move || {
        if let Err(error) = send_stream(stream, to, file) {
            log::error!("cannot send: {error}");
        }
        stopper.stop();
    });
    picket.run();
    Ok(())
}
