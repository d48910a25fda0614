//! `:timeit`: a script is played again and again, and its times are shown together.

use std::{sync::Arc, time::Duration};

use client_ws::PlayResult;
use frontend::{
    quantity,
    text::{Style, StyledLine},
};
use tokio::time::Instant;

use super::{
    core::Core,
    event::{ConnectionStatus, DisplayKind, DisplayLines},
    pending::{Purpose, RunningInput, RunningWork},
    play::Script,
};

/// The maximum number of runs.
const MAX_RUNS: usize = 1_000;

/// The time after which no other run starts.
const MAX_TIME: Duration = Duration::from_secs(1);

/// The runs of a script so far.
pub(super) struct Timing {
    /// The times in the circle.
    elapsed: Vec<Duration>,
    /// The times until the answers arrived.
    round_trips: Vec<Duration>,
    started: Instant,
}

impl Timing {
    /// Whether the script has run.
    pub(super) fn has_run(&self) -> bool {
        !self.elapsed.is_empty()
    }

    fn is_complete(&self) -> bool {
        self.elapsed.len() >= MAX_RUNS || self.started.elapsed() >= MAX_TIME
    }

    fn lines(mut self) -> Vec<StyledLine> {
        let runs = self.elapsed.len();
        let plural = if runs == 1 { "" } else { "s" };
        vec![
            StyledLine::of(Style::Plain, &format!("in the circle  {}", summary(&mut self.elapsed))),
            StyledLine::of(Style::Plain, &format!("round trip     {}", summary(&mut self.round_trips))),
            StyledLine::of(Style::Dim, &format!("median and range of {runs} run{plural}")),
        ]
    }
}

/// Formats the median and the range of some times.
fn summary(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let (Some(least), Some(most)) = (times.first(), times.last()) else { return String::new() };
    let median = times[times.len() / 2];
    format!("{} ({}–{})", quantity::duration(median), quantity::duration(*least), quantity::duration(*most))
}

impl Core {
    /// Starts to time a script.
    pub(super) fn start_timing(&mut self, script: String) {
        self.notebook.begin_play(&script);
        self.work.timing = Some(Timing { elapsed: Vec::new(), round_trips: Vec::new(), started: Instant::now() });
        self.play_timed(script);
    }

    fn play_timed(&mut self, script: String) {
        // Binding the value would be a part of the time.
        let play = self.remote.clone().play(Script { text: script.clone(), ..Script::default() });
        self.start(RunningWork::Play(play), script, Purpose::TimeIt);
    }

    /// Handles the success of a run.
    pub(super) fn continue_timing(&mut self, run: RunningInput, result: &Arc<PlayResult>, round_trip: Duration) {
        let elapsed = Duration::from_micros(result.elapsed_us);
        self.work.last_elapsed = Some(elapsed);
        let Some(timing) = &mut self.work.timing else { return };
        timing.elapsed.push(elapsed);
        timing.round_trips.push(round_trip);
        if !timing.is_complete() && run.cancelled.is_none() {
            self.finish_on_connection(None);
            if self.connection.status == ConnectionStatus::Connected {
                self.notebook.repeat_play();
                return self.play_timed(run.script);
            }
        }
        self.show_timing();
        self.finish_on_connection(None);
        self.finish_input();
        self.start_waiting_inputs();
    }

    /// Shows the times of the runs so far.
    pub(super) fn show_timing(&mut self) {
        if let Some(timing) = self.work.timing.take().filter(Timing::has_run) {
            self.notebook.record_timing();
            self.show(DisplayLines::new(DisplayKind::Value, timing.lines()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summarised_by_median_and_range() {
        let millis = |times: &[u64]| times.iter().map(|time| Duration::from_millis(*time)).collect::<Vec<_>>();
        assert_eq!(summary(&mut millis(&[30, 2, 500])), "30 ms (2.00 ms–500 ms)");
        assert_eq!(summary(&mut millis(&[7])), "7.00 ms (7.00 ms–7.00 ms)");
        assert_eq!(summary(&mut []), "");
    }
}
