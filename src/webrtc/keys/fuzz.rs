//! The door for fuzzing: whatever a viewer sends in a handshake, it neither panics nor starts to
//! spin.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use str0m::crypto::dtls::{DtlsCert, DtlsOutput, DtlsVersion};

/// What a viewer sends: a byte of which the lowest bit tells whether the camera begins, then the
/// datagrams, each after its length in two bytes.
pub fn handshake(bytes: &[u8]) {
    static CERTIFICATE: OnceLock<Option<DtlsCert>> = OnceLock::new();
    let dtls = super::crypto().dtls_provider;
    let Some(certificate) = CERTIFICATE.get_or_init(|| dtls.generate_certificate()) else {
        return;
    };
    let mut now = Instant::now();
    let Ok(mut dtls) = dtls.new_dtls(certificate, now, DtlsVersion::Dtls12, None) else {
        return;
    };
    let (role, mut rest) = bytes.split_first().unwrap_or((&0, &[]));
    dtls.set_active(role & 1 == 1);
    let _ = dtls.handle_timeout(now);
    loop {
        let mut room = [0; 2000];
        // A flight is no longer than this, however often it is sent.
        let settled = (0..1000).any(|_| {
            matches!(
                dtls.poll_output(&mut room),
                DtlsOutput::Timeout(_) | DtlsOutput::BufferTooSmall { .. }
            )
        });
        assert!(settled, "it has no end of things to say");
        let Some((length, after)) = rest.split_first_chunk() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (datagram, after) = after.split_at(length);
        rest = after;
        let _ = dtls.handle_packet(datagram);
        now += Duration::from_millis(20);
        let _ = dtls.handle_timeout(now);
    }
    let _ = (super::take(), super::trouble());
}
