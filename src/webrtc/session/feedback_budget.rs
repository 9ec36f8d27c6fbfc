//! How much of the time a viewer's feedback may take.

use std::time::{Duration, Instant};

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
    pub(super) fn spend(&mut self, cost: usize) {
        self.spent = self.spent.saturating_add(u32::try_from(cost).unwrap_or(u32::MAX));
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
