//! `circles status --watch`: show the status of circles until Ctrl-C.

use std::{
    io::{IsTerminal, stdout},
    time::Duration,
};

use launcher::{CircleStatus, Statuses};
use tokio::{
    signal::unix::{Signal, SignalKind},
    time::{MissedTickBehavior, interval},
};

use super::{
    StatusSource, format_statuses,
    screen::{self, WatchScreen},
    table,
};
use frontend::signals::{is_ignored, listen};
use frontend::{error::CliError, text::StyledLine};
use terminal::output::to_stdout;

/// Interval of queries; circles send heartbeats as often.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

type StatusResult = Result<Statuses, CliError>;

pub(super) fn run(source: StatusSource<'_>, is_json: bool) -> Result<(), CliError> {
    let kind = terminal::runtime::runtime()?.block_on(watch(source, is_json))?;
    if kind == SignalKind::interrupt() {
        // Ctrl-C is the normal way to stop watching.
        return Ok(());
    }
    // The code that shells use for a process killed by a signal.
    std::process::exit(128 + kind.as_raw_value())
}

/// Watches until a signal, and returns it.
async fn watch(mut source: StatusSource<'_>, is_json: bool) -> Result<SignalKind, CliError> {
    let (mut signals, mut view) = (Signals::listen()?, WatchView { is_json, last: None, screen: None });
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let fetching = async {
            ticks.tick().await;
            source.fetch().await
        };
        tokio::pin!(fetching);
        let result = loop {
            tokio::select! {
                result = &mut fetching => break result,
                signal = signals.next() => match signal {
                    WatchSignal::Resized => view.draw()?,
                    WatchSignal::Suspended => view.suspend()?,
                    WatchSignal::Ended(kind) => {
                        view.end()?;
                        return Ok(kind);
                    }
                }
            }
        };
        view.show(result)?;
    }
}

/// Signals that `--watch` handles.
#[derive(Debug, Clone, Copy)]
enum WatchSignal {
    Ended(SignalKind),
    Suspended,
    Resized,
}

struct Signals(Vec<(WatchSignal, Signal)>);

impl Signals {
    fn listen() -> Result<Self, CliError> {
        let (stop, resize) =
            (SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()), SignalKind::window_change());
        let ends = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let signals = ends
            .map(|kind| (kind, WatchSignal::Ended(kind)))
            .into_iter()
            .chain([(stop, WatchSignal::Suspended), (resize, WatchSignal::Resized)])
            .filter(|(kind, _)| !is_ignored(*kind));
        Ok(Self(signals.map(|(kind, signal)| Ok((signal, listen(kind)?))).collect::<Result<_, CliError>>()?))
    }

    /// Waits for the next signal. Cancel safe.
    async fn next(&mut self) -> WatchSignal {
        std::future::poll_fn(|context| {
            let received =
                self.0.iter_mut().find_map(|(signal, stream)| stream.poll_recv(context).is_ready().then_some(*signal));
            received.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

/// Output of `--watch`: in place on a terminal; otherwise appended at each change.
struct WatchView {
    is_json: bool,
    last: Option<StatusResult>,
    screen: Option<WatchScreen>,
}

impl WatchView {
    fn show(&mut self, result: StatusResult) -> Result<(), CliError> {
        let is_first = self.last.is_none();
        if is_first {
            // An error of the first query ends the command, as without `--watch`.
            if result.is_ok() && stdout().is_terminal() && !self.is_json {
                self.screen = Some(WatchScreen::take()?);
            }
        }
        let is_new = self.last.as_ref().is_none_or(|last| !is_same(last, &result));
        let result = self.last.insert(if is_first { Ok(result?) } else { result });
        match (&self.screen, result) {
            (Some(_), _) => self.draw(),
            (None, Ok(statuses)) if is_new => {
                let before = if is_first || self.is_json { "" } else { "\n" };
                Ok(to_stdout(&format!("{before}{}", format_statuses(statuses, self.is_json)))?)
            }
            (None, Err(error)) if is_new => {
                terminal::output::report(error);
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    fn draw(&self) -> Result<(), CliError> {
        let (Some(screen), Some(result)) = (&self.screen, &self.last) else { return Ok(()) };
        let width = WatchScreen::size().0.saturating_sub(1);
        let lines: Vec<StyledLine> = match result {
            Ok(statuses) => table::lines(statuses, width),
            Err(error) => error.lines(width),
        };
        Ok(screen.draw(&lines)?)
    }

    fn suspend(&mut self) -> Result<(), CliError> {
        match &mut self.screen {
            Some(screen) => screen.suspend()?,
            None => screen::stop_process()?,
        }
        self.draw()
    }

    /// Leaves the screen, and prints the last status on the normal one.
    fn end(&mut self) -> Result<(), CliError> {
        match (self.screen.take(), &self.last) {
            (Some(screen), Some(Ok(statuses))) => {
                drop(screen);
                Ok(to_stdout(&format_statuses(statuses, self.is_json))?)
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether two results differ only in uptimes.
fn is_same(one: &StatusResult, other: &StatusResult) -> bool {
    let timeless =
        |statuses: &Statuses| -> Vec<_> { statuses.circles.iter().map(CircleStatus::without_uptime).collect() };
    match (one, other) {
        (Ok(one), Ok(other)) => one.refused == other.refused && timeless(one) == timeless(other),
        (Err(one), Err(other)) => one.message() == other.message(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn uptime_alone_is_no_change() {
        let text = r#"{ "circles": [{ "name": "a", "port": 1 }] }"#;
        let circles = launcher::parse(text, Path::new("circles.json")).expect("valid");
        let circle = |uptime_s, connections| CircleStatus { uptime_s, connections, ..CircleStatus::down(&circles[0]) };
        let status = |uptime_s, connections| Statuses {
            circles: vec![circle(uptime_s, connections)],
            is_ending: false,
            refused: None,
        };
        let before = Ok(status(Some(1), Some(2)));
        assert!(is_same(&before, &Ok(status(Some(2), Some(2)))));
        assert!(!is_same(&before, &Ok(status(Some(2), Some(3)))));
        let refused = Statuses { refused: Some("why".into()), ..status(Some(1), Some(2)) };
        assert!(!is_same(&before, &Ok(refused)));
        assert!(!is_same(&before, &Err(CliError::Interrupted)));
        assert!(is_same(&Err(CliError::Interrupted), &Err(CliError::Interrupted)));
    }
}
