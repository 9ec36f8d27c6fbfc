//! What is done to packets before they leave.

/// Protects outgoing packets in place: SRTP (RFC 3711) encrypts and authenticates them,
/// [`Unprotected`] leaves them as they are.
pub trait Protection {
    /// Bytes an RTP packet grows by at its end.
    fn rtp_overhead(&self) -> usize;

    /// Protects an RTP packet. `packet` is header, payload and [`Protection::rtp_overhead`] bytes of
    /// room; `index` is the extended sequence number, roll-overs in the upper bits. No two packets of
    /// an SSRC may ever have the same index.
    ///
    /// # Errors
    /// When the cipher refuses.
    fn protect_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), ProtectionError>;

    /// Protects a compound RTCP packet, which may grow by that. No two of an SSRC may ever have the
    /// same index.
    ///
    /// # Errors
    /// When the cipher refuses.
    fn protect_rtcp(
        &self,
        packet: &mut Vec<u8>,
        ssrc: u32,
        index: u32,
    ) -> Result<(), ProtectionError>;
}

/// A packet could not be protected; it must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a packet could not be protected: {0}")]
pub struct ProtectionError(pub &'static str);

/// Plain RTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unprotected;

impl Protection for Unprotected {
    fn rtp_overhead(&self) -> usize {
        0
    }

    fn protect_rtp(&self, _: &mut [u8], _: usize, _: u32, _: u64) -> Result<(), ProtectionError> {
        Ok(())
    }

    fn protect_rtcp(&self, _: &mut Vec<u8>, _: u32, _: u32) -> Result<(), ProtectionError> {
        Ok(())
    }
}
