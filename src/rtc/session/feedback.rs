//! What the viewer says of the stream: RTCP feedback and reports.

use std::time::{Duration, Instant};

use str0m::rtp::rtcp::{ReceptionReport, Rtcp};

use super::{End, Phase, Session, wall_clock};
use crate::media::MediaTime;
use crate::rtc::egress::ntp;

/// What a second of a viewer's feedback may cost, where a report costs one and a packet that is
/// asked for again another. A browser with a bad network needs some hundreds.
const PER_SECOND: u32 = 4000;

/// Keeps who sends feedback without end from taking all the time there is.
#[derive(Debug, Default)]
pub(super) struct FeedbackBudget {
    second: Option<Instant>,
    spent: u32,
}

impl FeedbackBudget {
    /// Whether this second's is spent. What comes then is not even opened.
    pub(super) fn is_spent(&mut self, now: Instant) -> bool {
        let over = |at: Instant| now.saturating_duration_since(at) >= Duration::from_secs(1);
        if self.second.is_none_or(over) {
            *self = Self { second: Some(now), spent: 0 };
        }
        self.spent >= PER_SECOND
    }

    /// Only what was sealed by the viewer counts: nobody else can spend it.
    fn spend(&mut self, cost: usize) {
        self.spent = self.spent.saturating_add(u32::try_from(cost).unwrap_or(u32::MAX));
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_feedback_without_end_is_not_heard_for_the_rest_of_the_second() {
        let (mut budget, start) = (FeedbackBudget::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        for _ in 0..PER_SECOND / 17 {
            assert!(!budget.is_spent(at(0)));
            budget.spend(17);
        }
        budget.spend(17);
        assert!(budget.is_spent(at(1)) && budget.is_spent(at(999)));
        assert!(!budget.is_spent(at(1000)));
    }
}
