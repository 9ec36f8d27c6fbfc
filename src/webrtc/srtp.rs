//! Sealing outgoing RTP and RTCP (SRTP, RFC 3711; AES-GCM for it, RFC 7714).
//!
//! Only the sending half lives here, because that is what a camera does thousands of times a
//! second: the packet is written once, in the buffer it is sent from, and encrypted in place.
//! Incoming RTCP is opened by the WebRTC library. The two never share a key stream: sender and
//! receiver keys differ, and the library is configured to send neither RTP nor RTCP (see
//! [`session`](super::session)).

use std::sync::Arc;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{error::Unspecified, hmac};
use str0m::crypto::dtls::SrtpProfile;

use crate::rtp::{Protection, ProtectionError};

/// DTLS did not yield keys that make sense, or the cipher refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SRTP failed: {0}")]
pub(super) struct SrtpError(&'static str);

impl From<Unspecified> for SrtpError {
    fn from(_: Unspecified) -> Self {
        Self("the cipher refused")
    }
}

impl From<SrtpError> for ProtectionError {
    fn from(error: SrtpError) -> Self {
        Self(error.0)
    }
}

/// Which end of the DTLS connection we are: it says which half of the keying material is ours
/// (RFC 5764 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DtlsRole {
    Client,
    Server,
}

/// Seals packets of one session.
pub(super) enum Sealer {
    /// `AEAD_AES_128_GCM` and `AEAD_AES_256_GCM`.
    Gcm { rtp: GcmKey, rtcp: GcmKey },
    /// `SRTP_AES128_CM_SHA1_80`.
    Ctr { rtp: Box<CtrKey>, rtcp: Box<CtrKey> },
}

pub(super) struct GcmKey {
    key: LessSafeKey,
    salt: [u8; 12],
}

pub(super) struct CtrKey {
    key: EncryptingKey,
    auth: hmac::Key,
    salt: [u8; 14],
}

/// Labels of the key derivation (RFC 3711 §4.3.1): cipher key, authentication key, salt.
const RTP_LABELS: [u8; 3] = [0, 1, 2];
const RTCP_LABELS: [u8; 3] = [3, 4, 5];

impl Sealer {
    /// From what the DTLS handshake exported.
    pub(super) fn new(
        profile: SrtpProfile,
        material: &[u8],
        role: DtlsRole,
    ) -> Result<Self, SrtpError> {
        let (key_len, salt_len) = match profile {
            SrtpProfile::AES128_CM_SHA1_80 => (16, 14),
            SrtpProfile::AEAD_AES_128_GCM => (16, 12),
            SrtpProfile::AEAD_AES_256_GCM => (32, 12),
            _ => {
                return Err(SrtpError("the peers agreed on an unknown protection profile"));
            }
        };
        // client key, server key, client salt, server salt
        let first = usize::from(role == DtlsRole::Server);
        let at = |from: usize, len: usize| material.get(from..from + len);
        let (Some(key), Some(salt)) =
            (at(first * key_len, key_len), at(2 * key_len + first * salt_len, salt_len))
        else {
            return Err(SrtpError("the keying material is too short"));
        };
        let master = Master { key, salt };
        Ok(if salt_len == 12 {
            Self::Gcm { rtp: master.gcm(RTP_LABELS)?, rtcp: master.gcm(RTCP_LABELS)? }
        } else {
            Self::Ctr {
                rtp: Box::new(master.ctr(RTP_LABELS)?),
                rtcp: Box::new(master.ctr(RTCP_LABELS)?),
            }
        })
    }
}

impl Protection for Arc<Sealer> {
    fn rtp_overhead(&self) -> usize {
        self.tag_len()
    }

    fn protect_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), ProtectionError> {
        Ok(self.seal_rtp(packet, header_len, ssrc, index)?)
    }

    fn protect_rtcp(
        &self,
        packet: &mut Vec<u8>,
        ssrc: u32,
        index: u32,
    ) -> Result<(), ProtectionError> {
        Ok(self.seal_rtcp(packet, ssrc, index)?)
    }
}

impl Sealer {
    /// Bytes an RTP packet grows by.
    fn tag_len(&self) -> usize {
        match self {
            Self::Gcm { .. } => 16,
            Self::Ctr { .. } => 10,
        }
    }

    /// Seals an RTP packet in place. `packet` is header, payload and [`Sealer::tag_len`] bytes of
    /// room; `index` is the extended sequence number, roll-overs in the upper bits. No two
    /// packets of an SSRC may ever have the same index.
    fn seal_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        let tag_at = packet.len() - self.tag_len();
        let (head_and_payload, tag_room) = packet.split_at_mut(tag_at);
        match self {
            Self::Gcm { rtp, .. } => {
                let (header, payload) = head_and_payload.split_at_mut(header_len);
                // RFC 7714 §8.1: 00 00 SSRC ROC SEQ.
                let mut iv = [0; 12];
                iv[2..6].copy_from_slice(&ssrc.to_be_bytes());
                iv[6..12].copy_from_slice(&index.to_be_bytes()[2..]);
                tag_room.copy_from_slice(&rtp.seal(iv, header, payload)?);
            }
            Self::Ctr { rtp, .. } => {
                rtp.encrypt(ssrc, index, &mut head_and_payload[header_len..])?;
                let roll_over = u32::try_from(index >> 16).unwrap_or(u32::MAX);
                tag_room.copy_from_slice(&rtp.tag(&[head_and_payload, &roll_over.to_be_bytes()]));
            }
        }
        Ok(())
    }

    /// Seals a compound RTCP packet and appends tag and index (RFC 3711 §3.4, RFC 7714 §9).
    fn seal_rtcp(&self, packet: &mut Vec<u8>, ssrc: u32, index: u32) -> Result<(), SrtpError> {
        const CLEAR: usize = 8;
        const ENCRYPTED: u32 = 1 << 31;
        let trailer = (ENCRYPTED | index).to_be_bytes();
        match self {
            Self::Gcm { rtcp, .. } => {
                let mut aad = [0; CLEAR + 4];
                aad[..CLEAR].copy_from_slice(&packet[..CLEAR]);
                aad[CLEAR..].copy_from_slice(&trailer);
                let mut iv = [0; 12];
                iv[2..6].copy_from_slice(&ssrc.to_be_bytes());
                iv[8..12].copy_from_slice(&index.to_be_bytes());
                let tag = rtcp.seal(iv, &aad, &mut packet[CLEAR..])?;
                packet.extend_from_slice(&tag);
                packet.extend_from_slice(&trailer);
            }
            Self::Ctr { rtcp, .. } => {
                rtcp.encrypt(ssrc, u64::from(index), &mut packet[CLEAR..])?;
                packet.extend_from_slice(&trailer);
                let tag = rtcp.tag(&[packet]);
                packet.extend_from_slice(&tag);
            }
        }
        Ok(())
    }
}

impl GcmKey {
    fn seal(&self, mut iv: [u8; 12], aad: &[u8], text: &mut [u8]) -> Result<[u8; 16], SrtpError> {
        xor(&mut iv, &self.salt);
        let nonce = Nonce::assume_unique_for_key(iv);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), text)?;
        tag.as_ref().try_into().map_err(|_| SrtpError("a tag of another length"))
    }
}

impl CtrKey {
    /// RFC 3711 §4.1.1: IV = salt·2¹⁶ ⊕ SSRC·2⁶⁴ ⊕ index·2¹⁶.
    fn encrypt(&self, ssrc: u32, index: u64, text: &mut [u8]) -> Result<(), SrtpError> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &ssrc.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.key.less_safe_encrypt(text, context)?;
        Ok(())
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; 10] {
        let mut context = hmac::Context::with_key(&self.auth);
        parts.iter().for_each(|part| context.update(part));
        let mut tag = [0; 10];
        tag.copy_from_slice(&context.sign().as_ref()[..10]);
        tag
    }
}

/// The master key and salt the session keys are derived from.
struct Master<'a> {
    key: &'a [u8],
    salt: &'a [u8],
}

impl Master<'_> {
    fn gcm(&self, [cipher, _, salt]: [u8; 3]) -> Result<GcmKey, SrtpError> {
        let algorithm = if self.key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let mut key = [0; 32];
        let key = &mut key[..self.key.len()];
        self.derive(cipher, key)?;
        let mut session_salt = [0; 12];
        self.derive(salt, &mut session_salt)?;
        Ok(GcmKey { key: LessSafeKey::new(UnboundKey::new(algorithm, key)?), salt: session_salt })
    }

    fn ctr(&self, [cipher, auth, salt]: [u8; 3]) -> Result<CtrKey, SrtpError> {
        let (mut key, mut auth_key, mut session_salt) = ([0; 16], [0; 20], [0; 14]);
        self.derive(cipher, &mut key)?;
        self.derive(auth, &mut auth_key)?;
        self.derive(salt, &mut session_salt)?;
        Ok(CtrKey {
            key: EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &key)?)?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth_key),
            salt: session_salt,
        })
    }

    /// The key derivation of RFC 3711 §4.3.1 with a rate of zero: AES in counter mode, keyed by
    /// the master key, over zeros. The salts of RFC 7714 §11 are padded with zeros on the right.
    fn derive(&self, label: u8, out: &mut [u8]) -> Result<(), SrtpError> {
        let mut iv = [0; 16];
        iv[..self.salt.len()].copy_from_slice(self.salt);
        iv[7] ^= label;
        let algorithm = if self.key.len() == 16 { &AES_128 } else { &AES_256 };
        let key = EncryptingKey::ctr(UnboundCipherKey::new(algorithm, self.key)?)?;
        out.fill(0);
        key.less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(iv)))?;
        Ok(())
    }
}

fn xor(into: &mut [u8], with: &[u8]) {
    into.iter_mut().zip(with).for_each(|(a, b)| *a ^= b);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|b| b.is_ascii_hexdigit()).collect();
        digits
            .chunks(2)
            .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711_appendix_b_3() {
        let master = Master {
            key: &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            salt: &hex("0EC675AD498AFEEBB6960B3AABE6"),
        };
        let derive = |label, len| {
            let mut out = vec![0; len];
            master.derive(label, &mut out).unwrap();
            out
        };
        assert_eq!(derive(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derive(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(derive(1, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    /// RFC 7714 §16.1.1, which gives session key and salt rather than master ones.
    #[test]
    fn gcm_packets_are_those_of_rfc_7714() {
        let key = hex("000102030405060708090a0b0c0d0e0f");
        let make = || GcmKey {
            key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap()),
            salt: hex("517569642070726f2071756f").try_into().unwrap(),
        };
        let sealer = Sealer::Gcm { rtp: make(), rtcp: make() };
        let header = hex("8040f17b 8041f8d3 5501a0b2");
        let text =
            hex("47616c6c696120657374206f6d6e697320646976697361 20696e207061727465732074726573");
        let mut packet = [header.clone(), text, vec![0; 16]].concat();
        sealer.seal_rtp(&mut packet, 12, 0x5501_a0b2, 0xf17b).unwrap();
        let expected =
            hex("8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f
             42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce");
        assert_eq!(packet, expected);
    }

    /// The keystream of RFC 3711 appendix B.2, reached through the packet layout.
    #[test]
    fn counter_mode_starts_with_the_key_stream_of_rfc_3711_appendix_b_2() {
        let key = EncryptingKey::ctr(
            UnboundCipherKey::new(&AES_128, &hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap(),
        )
        .unwrap();
        let ctr = CtrKey {
            key,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[0; 20]),
            salt: hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap(),
        };
        let mut text = [0; 32];
        ctr.encrypt(0, 0, &mut text).unwrap();
        let expected = hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB");
        assert_eq!(text.to_vec(), expected);
    }

    #[test]
    fn both_ends_of_a_handshake_seal_with_different_keys() {
        let material: Vec<u8> = (0..88).collect();
        for profile in [
            SrtpProfile::AES128_CM_SHA1_80,
            SrtpProfile::AEAD_AES_128_GCM,
            SrtpProfile::AEAD_AES_256_GCM,
        ] {
            let sealed = |role| {
                let sealer = Sealer::new(profile, &material, role).unwrap();
                let mut packet = vec![0x80; 60 + sealer.tag_len()];
                sealer.seal_rtp(&mut packet, 12, 1, 2).unwrap();
                packet
            };
            assert_ne!(sealed(DtlsRole::Client)[12..], sealed(DtlsRole::Server)[12..]);
            assert!(Sealer::new(profile, &material[..40], DtlsRole::Server).is_err());
        }
    }
}
