//! What the viewer says of the stream: RTCP feedback and reports.

use std::time::Instant;

use str0m::rtp::rtcp::{ReceptionReport, Rtcp};

use super::{Sender, Session};
use crate::media::{MediaTime, utc_now};
use crate::rtp::ntp_time;

/// How much work it is.
fn cost(rtcp: &Rtcp) -> usize {
    match rtcp {
        Rtcp::Nack(nack) => nack.reports.iter().map(|r| 1 + r.blp.count_ones() as usize).sum(),
        _ => 1,
    }
}

impl Session {
    pub(super) fn feedback(&mut self, rtcp: Rtcp, at: Instant) {
        if self.feedback_budget.is_spent(at) {
            return;
        }
        self.feedback_budget.spend(cost(&rtcp));
        let now = MediaTime::now();
        match rtcp {
            Rtcp::Nack(nack) => {
                let Some(sender) = self.sender_of(*nack.ssrc) else { return };
                for entry in nack.reports.iter() {
                    let following = (0..16).filter(|bit| entry.blp >> bit & 1 == 1);
                    let missing = std::iter::once(entry.pid)
                        .chain(following.map(|bit| entry.pid.wrapping_add(bit + 1)));
                    missing.for_each(|sequence| sender.missing(sequence));
                }
            }
            Rtcp::Pli(pli) => {
                if let Some(sender) = self.sender_of(*pli.ssrc) {
                    sender.stats.pli_count += 1;
                    sender.want_key_frame(now);
                }
            }
            Rtcp::Fir(fir) => {
                for sender in &mut self.senders {
                    if fir.reports.iter().any(|r| *r.ssrc == sender.ssrc()) {
                        sender.stats.fir_count += 1;
                        sender.want_key_frame(now);
                    }
                }
            }
            Rtcp::ReceiverReport(report) => report.reports.iter().for_each(|b| self.reception(b)),
            Rtcp::SenderReport(report) => report.reports.iter().for_each(|b| self.reception(b)),
            Rtcp::Remb(remb) => self.available_bitrate = Some(remb.bitrate as u64),
            _ => {}
        }
    }

    fn sender_of(&mut self, ssrc: u32) -> Option<&mut Sender> {
        self.senders.iter_mut().find(|sender| sender.ssrc() == ssrc)
    }

    /// RFC 3550 §6.4.1.
    fn reception(&mut self, block: &ReceptionReport) {
        let Some(sender) = self.sender_of(*block.ssrc) else { return };
        let clock_rate = sender.track.rtp.clock_rate;
        let stats = &mut sender.stats;
        stats.fraction_lost = Some(f64::from(block.fraction_lost) / 256.0);
        // 24 bits, signed.
        stats.packets_lost = Some(i64::from((block.packets_lost << 8) as i32 >> 8));
        stats.jitter = Some(f64::from(block.jitter) / f64::from(clock_rate));
        if block.last_sr_time != 0 {
            let now = (ntp_time(utc_now()) >> 16) as u32;
            let ticks = now.wrapping_sub(block.last_sr_time).wrapping_sub(block.last_sr_delay);
            // A viewer's arithmetic may be off by a little either way; a minute is nonsense.
            if ticks < 60 << 16 {
                stats.round_trip_time = Some(f64::from(ticks) / 65_536.0);
            }
        }
    }
}
