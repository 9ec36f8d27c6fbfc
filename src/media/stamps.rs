//! Times and numbers of pictures, made trustworthy.
//!
//! Encoders, RTP and players rely on time that goes forward and on numbers that count. Drivers
//! mostly provide both.

use std::time::Duration;

use super::MediaTime;

/// The stamps of the pictures of one stretch of capturing.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    last: Option<(MediaTime, u64)>,
}

/// A picture whose time seems to be this far ahead is not: its clock is another than ours.
const AHEAD: Duration = Duration::from_millis(50);

/// A picture older than this was not exposed by that time either: its clock is another.
const BEHIND: Duration = Duration::from_secs(10);

impl Stamps {
    /// Time and number of the next picture, from the sensor's time in nanoseconds (0 where it is
    /// not known) and the driver's 32-bit count. Both are greater than those before.
    pub(crate) fn next(&mut self, nanos: u64, count: u32, now: MediaTime) -> (MediaTime, u64) {
        let told = MediaTime::from_nanos(nanos);
        let believable = nanos != 0 && told <= now + AHEAD && told + BEHIND >= now;
        let time = if believable { told.min(now) } else { now };
        let stamp = match self.last {
            None => (time, u64::from(count)),
            Some((before, number)) => {
                (time.max(before + Duration::from_nanos(1)), following(number, count))
            }
        };
        self.last = Some(stamp);
        stamp
    }
}

/// The number after `number` that ends in `count`; the next number where the driver has begun to
/// count again.
fn following(number: u64, count: u32) -> u64 {
    // Truncation is what the driver does.
    let gap = count.wrapping_sub(number as u32);
    if gap == 0 || gap > u32::MAX / 2 { number + 1 } else { number + u64::from(gap) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_stamps_are_taken_as_they_are() {
        let mut stamps = Stamps::default();
        let now = MediaTime::from_nanos(5_000_000_000);
        assert_eq!(stamps.next(4_980_000_000, 7, now).0.as_nanos(), 4_980_000_000);
        let later = now + Duration::from_millis(66);
        assert_eq!(stamps.next(5_046_000_000, 9, later), (MediaTime::from_nanos(5_046_000_000), 9));
    }

    #[test]
    fn counts_go_on_past_32_bits_and_past_a_restart() {
        assert_eq!(following(0xffff_fffe, 1), 0x1_0000_0001);
        assert_eq!(following(500, 0), 501);
        assert_eq!(following(500, 500), 501);
    }

    /// Missing, backward, future and foreign times; lost, repeated and restarted counts.
    #[test]
    fn time_and_number_only_go_forward_whatever_the_driver_says() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..200 {
            let mut stamps = Stamps::default();
            let mut now = MediaTime::from_nanos(rng.u64(1_000_000_000..u64::MAX / 4));
            let mut last = None;
            for _ in 0..100 {
                now = now + Duration::from_micros(rng.u64(1..40_000));
                let nanos = match rng.u8(..8) {
                    0 => 0,
                    1 => rng.u64(..),
                    2 => now.as_nanos() + rng.u64(..100_000_000),
                    _ => now.as_nanos() - rng.u64(..100_000_000),
                };
                let count = if rng.bool() { rng.u32(..) } else { rng.u32(..9) };
                let (time, number) = stamps.next(nanos, count, now);
                assert!(time <= now, "no picture is from the future");
                if let Some((before, number_before)) = last {
                    assert!(time > before && number > number_before);
                }
                last = Some((time, number));
            }
        }
    }
}
