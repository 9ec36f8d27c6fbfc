//! What the viewer says of the stream: RTCP feedback and reports.

use str0m::rtp::rtcp::{ReceptionReport, Rtcp};

use super::{End, Phase, Session, wall_clock};
use crate::media::MediaTime;
use crate::rtc::egress::ntp;

impl Session {
    pub(super) fn feedback(&mut self, rtcp: Rtcp) {
        let Some(egress) = &mut self.egress else {
            return;
        };
        let now = MediaTime::now();
        let ours = egress.ssrc();
        match rtcp {
            Rtcp::Nack(nack) if *nack.ssrc == ours => {
                let rtt = self.rtt.unwrap_or_default();
                for entry in nack.reports.iter() {
                    let following = (0..16).filter(|bit| entry.blp >> bit & 1 == 1);
                    let missing = std::iter::once(entry.pid)
                        .chain(following.map(|bit| entry.pid.wrapping_add(bit + 1)));
                    for sequence in missing {
                        self.stats.nack_count += 1;
                        if egress.resend(sequence, rtt, now, &mut self.batch).is_err() {
                            self.phase = Phase::Ended(End::Failed);
                            return;
                        }
                    }
                }
            }
            Rtcp::Pli(pli) if *pli.ssrc == ours => {
                self.stats.pli_count += 1;
                self.want_key_picture(now);
            }
            Rtcp::Fir(fir) if fir.reports.iter().any(|r| *r.ssrc == ours) => {
                self.stats.fir_count += 1;
                self.want_key_picture(now);
            }
            Rtcp::ReceiverReport(report) => {
                for block in report.reports.iter().filter(|b| *b.ssrc == ours) {
                    self.reception(block);
                }
            }
            Rtcp::SenderReport(report) => {
                for block in report.reports.iter().filter(|b| *b.ssrc == ours) {
                    self.reception(block);
                }
            }
            Rtcp::Remb(remb) => self.stats.available_bitrate = Some(remb.bitrate as u64),
            _ => {}
        }
    }

    fn want_key_picture(&mut self, now: MediaTime) {
        if self.key_requests.allow(now) {
            self.viewer.request_key_picture();
        }
    }

    /// RFC 3550 §6.4.1.
    fn reception(&mut self, block: &ReceptionReport) {
        self.stats.fraction_lost = Some(f64::from(block.fraction_lost) / 256.0);
        // 24 bits, signed.
        self.stats.packets_lost = Some(i64::from((block.packets_lost << 8) as i32 >> 8));
        self.stats.jitter = Some(f64::from(block.jitter) / 90_000.0);
        if block.last_sr_time != 0 {
            let now = (ntp(wall_clock()) >> 16) as u32;
            let ticks = now.wrapping_sub(block.last_sr_time).wrapping_sub(block.last_sr_delay);
            // A viewer's arithmetic may be off by a little either way; a minute is nonsense.
            if ticks < 60 << 16 {
                self.stats.round_trip_time = Some(f64::from(ticks) / 65_536.0);
            }
        }
    }
}
