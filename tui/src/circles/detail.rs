//! Details of the selected circle: a pane of their own on a wide screen, two lines under the list otherwise.

use std::time::Instant;

use frontend::{
    quantity,
    visible::visible,
    worker_pool::{self, PoolProblem},
};
use launcher::{StoreState, StoreStatus, WorkerPoolStatus};
use ratatui::{
    Frame,
    layout::Rect,
    style::Stylize,
    text::{Line, Span},
    widgets::{Paragraph, Sparkline},
};

use super::{
    CircleItem, CircleSource,
    activity::{Sample, rate},
    rows::{state_label, state_style, state_text},
};
use crate::{keys::short, repl::access_text, theme::Theme, wrap};

/// Rows of a chart.
const CHART_ROWS: u16 = 2;

/// Maximum number of worker machines in the details, and of characters of their names.
const MAX_MACHINES: usize = 8;
const MACHINE_NAME: usize = 10;

/// Rows of the lines under the list, without the line of a worker pool.
const SUMMARY_ROWS: u16 = 3;

/// Returns the bars of a chart in one row.
fn bars(values: &[u64]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let level = |value: u64| usize::try_from(u128::from(value) * 7 / u128::from(most)).unwrap_or(7);
    values.iter().map(|value| LEVELS[level(*value).min(7)]).collect()
}

impl CircleItem {
    /// Returns who may play, and how many are connected.
    fn facts(&self) -> Vec<String> {
        let status = self.status.as_ref().filter(|_| self.is_supervised());
        let mut facts = Vec::new();
        facts.extend(self.access().map(|access| access.to_string()));
        if let Some(connections) = status.and_then(|status| status.connections) {
            facts.push(format!("{connections} connected"));
        }
        facts
    }

    fn sandbox_text(&self) -> Option<String> {
        let layers = self.status.as_ref().filter(|_| self.is_supervised())?.sandbox.as_ref()?;
        Some(if layers.is_empty() { "no sandbox".into() } else { format!("sandbox {}", visible(&layers.join(", "))) })
    }

    fn pool(&self) -> Option<&WorkerPoolStatus> {
        self.status.as_ref().filter(|_| self.is_supervised())?.worker_pool.as_deref()
    }

    /// The rows of [`draw_summary`](Self::draw_summary).
    pub(crate) fn summary_rows(&self) -> u16 {
        SUMMARY_ROWS + u16::from(self.pool().is_some())
    }

    /// Draws what fits into a few lines.
    pub(crate) fn draw_summary(&self, frame: &mut Frame<'_>, area: Rect) {
        let width = usize::from(area.width.saturating_sub(2));
        let mut lines = vec![Line::from("─".repeat(usize::from(area.width))).dim()];
        let facts = self.facts();
        if facts.is_empty() {
            let unknown = if self.source == CircleSource::Scratch { "only for you" } else { "no details yet" };
            lines.push(Line::from(format!(" {}", self.description().unwrap_or(unknown))).dim());
        } else {
            lines.push(Line::from(format!(" {}", facts.join(" · "))).dim());
            let now = self.activity.latest();
            let numbers = format!("{} · {}", rate(now), quantity::size(now.memory_bytes));
            let count = width.saturating_sub(numbers.chars().count() + 1);
            let plays: Vec<u64> = self.activity.last(count).map(|sample| sample.plays).collect();
            if self.is_supervised() {
                lines.push(Line::from(format!(" {} {numbers}", bars(&plays))).dim());
            }
        }
        lines.extend(self.pool().map(|pool| Line::from(format!(" {}", worker_pool::short(pool))).dim()));
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// Draws everything that is known, with charts.
    pub(crate) fn draw_details(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme, now: Instant) {
        let (mark, _) = state_label(self, now);
        let label =
            |name: &str, value: String| Line::from(vec![Span::raw(format!("{name:12}")).dim(), Span::raw(value)]);
        let state = Span::styled(format!("{mark} {}", state_text(self, now)), state_style(self, theme));
        let mut lines = vec![Line::from(vec![Span::raw(format!("{:12}", "state")).dim(), state])];
        lines.push(label("address", visible(self.url()).into_owned()));
        lines.extend(self.access().map(|access| label("access", access_text(access).to_owned())));
        let status = self.status.as_ref().filter(|_| self.is_supervised());
        if let Some(status) = status {
            lines.extend(status.pid.map(|pid| label("process", pid.to_string())));
            lines.push(label("restarts", status.restarts.to_string()));
            lines.extend(status.workers.map(|workers| label("sessions", workers.to_string())));
            lines.extend(status.store.as_ref().map(|store| label("store", store_text(store))));
            if let Some(pool) = self.pool() {
                lines.extend(pool_lines(pool).into_iter().map(|(name, text)| label(&name, text)));
            }
            lines.extend(status.identity.as_ref().map(|identity| label("identity", short(&visible(identity)))));
        }
        lines.extend(self.sandbox_text().map(|sandbox| label("isolation", sandbox)));
        if self.source == CircleSource::Scratch {
            lines.push(Line::from("a circle of this screen, only for you").dim());
        }
        if let Some(description) = self.description() {
            lines.push(Line::default());
            lines.push(Line::from(visible(description).into_owned()).italic());
        }
        let lines: Vec<Line<'_>> = lines.into_iter().flat_map(|line| wrap::wrap_words(line, area.width)).collect();
        let used = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
        frame.render_widget(Paragraph::new(lines), Rect { height: used, ..area });
        if status.is_none() {
            return;
        }
        let now = self.activity.latest();
        let charts = [
            ("plays", rate(now), plays as fn(&Sample) -> u64),
            ("connections", now.connections.to_string(), connections),
            ("memory", quantity::size(now.memory_bytes), memory),
        ];
        let mut y = area.y.saturating_add(used).saturating_add(1);
        for (name, value, of) in charts {
            let chart = Rect { y: y.saturating_add(1), height: CHART_ROWS, ..area };
            if chart.bottom() > area.bottom() {
                return;
            }
            frame.render_widget(label(name, value), Rect { y, height: 1, ..area });
            let values: Vec<u64> = self.activity.last(area.width.into()).map(of).collect();
            frame.render_widget(Sparkline::default().data(&values).style(theme.success()), chart);
            y = chart.bottom().saturating_add(1);
        }
    }
}

/// Returns the size of a store, and its fault if it has one.
fn store_text(store: &StoreStatus) -> String {
    let size = format!("{} of {}", quantity::size(store.bytes), quantity::size(store.max_bytes));
    match store.state {
        StoreState::Full => format!("full, {size}"),
        StoreState::Failed => "failed".into(),
        _ => size,
    }
}

/// Returns the lines about a worker pool: names and texts.
fn pool_lines(pool: &WorkerPoolStatus) -> Vec<(String, String)> {
    let mut lines = vec![("machines".to_owned(), worker_pool::short(pool))];
    if pool.placements + pool.failed_placements > 0 {
        lines.push(("placements".to_owned(), worker_pool::placements(pool)));
    }
    let machines = pool.list.iter().take(MAX_MACHINES);
    lines.extend(machines.map(|machine| {
        let name: String = visible(&machine.name).chars().take(MACHINE_NAME).collect();
        (format!(" {name}"), visible(&worker_pool::machine(machine, &pool.build)).into_owned())
    }));
    let more = (pool.machines + pool.other_builds).saturating_sub(pool.list.len().min(MAX_MACHINES) as u64);
    lines.extend((more > 0).then(|| (String::new(), format!("and {more} more machines"))));
    let problems = PoolProblem::find(pool);
    lines.extend(problems.iter().map(|problem| ("problem".to_owned(), visible(&problem.to_string()).into_owned())));
    lines
}

fn plays(sample: &Sample) -> u64 {
    sample.plays
}

fn connections(sample: &Sample) -> u64 {
    sample.connections
}

fn memory(sample: &Sample) -> u64 {
    sample.memory_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_relative_to_the_largest_value() {
        assert_eq!(bars(&[0, 1, 7]), "▁▂█");
        assert_eq!(bars(&[0, 0]), "▁▁");
        assert_eq!(bars(&[u64::MAX]), "█");
        assert_eq!(bars(&[]), "");
    }
}
