//! The outcomes of several plays, which are reported in the order of the command line.

use super::outcome::ScriptOutcome;
use frontend::error::CliError;

/// The outcomes of the plays, in the order in which the user named the circles.
pub(super) struct OrderedOutcomes {
    /// `None` for a play that has not ended.
    outcomes: Vec<Option<ScriptOutcome>>,
    /// The number of reported outcomes.
    reported: usize,
}

impl OrderedOutcomes {
    pub(super) fn new(count: usize) -> Self {
        Self { outcomes: (0..count).map(|_| None).collect(), reported: 0 }
    }

    /// Records the outcome of a play.
    pub(super) fn finish(&mut self, index: usize, outcome: ScriptOutcome) {
        self.outcomes[index] = Some(outcome);
    }

    /// Takes the next outcome to report; `None` until the next play in order has ended.
    pub(super) fn next(&mut self) -> Option<(usize, &ScriptOutcome)> {
        let index = self.reported;
        let outcome = self.outcomes.get(index)?.as_ref()?;
        self.reported += 1;
        Some((index, outcome))
    }

    /// Returns the outcomes that wait for an earlier play.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (usize, &ScriptOutcome)> {
        let all = self.outcomes.iter().enumerate().skip(self.reported);
        all.filter_map(|(index, outcome)| Some((index, outcome.as_ref()?)))
    }

    /// Returns all outcomes. A play that has not ended was interrupted.
    pub(super) fn into_outcomes(self) -> Vec<ScriptOutcome> {
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(CliError::Interrupted))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: u8) -> ScriptOutcome {
        Err(CliError::AlreadyReported { exit_code: code })
    }

    #[test]
    fn outcomes_are_reported_in_the_order_of_the_circles() {
        let mut outcomes = OrderedOutcomes::new(4);
        let next = |outcomes: &mut OrderedOutcomes| outcomes.next().map(|(index, _)| index);
        outcomes.finish(1, failed(1));
        outcomes.finish(3, failed(3));
        assert_eq!(next(&mut outcomes), None);
        assert_eq!(outcomes.waiting().map(|(index, _)| index).collect::<Vec<_>>(), [1, 3]);
        outcomes.finish(0, failed(0));
        assert_eq!([next(&mut outcomes), next(&mut outcomes), next(&mut outcomes)], [Some(0), Some(1), None]);
        assert_eq!(outcomes.waiting().map(|(index, _)| index).collect::<Vec<_>>(), [3]);
        let codes: Vec<_> =
            outcomes.into_outcomes().iter().map(|outcome| outcome.as_ref().err().map(CliError::exit_code)).collect();
        assert_eq!(codes, [Some(0), Some(1), Some(130), Some(3)]);
    }
}
