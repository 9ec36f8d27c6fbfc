//! RTP (RFC 3550): from coded samples to packets, with SRTP and without.
//!
//! In come samples as the [`hub`](crate::hub) publishes them; out go datagrams in a
//! [`DatagramBatch`], laid out so that few system calls send many. A sample is cut into payloads
//! once for everybody ([`Packetizer`]: slices of the sample's own bytes, no copy). Each receiver has an
//! [`RtpStream`] of its own, which writes a header and the payload where they are sent from, protects
//! the packet in place ([`Protection`]), answers NACKs from references to the samples, and writes
//! sender reports. Nothing here does I/O, reads a clock or knows who receives.

mod batch;
mod h264;
mod header;
mod packetizer;
mod payload;
mod protection;
mod resend;
mod sender_report;
mod stream;

pub use batch::DatagramBatch;
pub use header::HeaderExtensions;
pub use packetizer::{PacketizedSample, Packetizer};
pub use payload::RtpPayload;
pub use protection::{Protection, ProtectionError, Unprotected};
pub use sender_report::ntp_time;
pub use stream::{Retransmission, RtpParameters, RtpStream, SentTotals};
