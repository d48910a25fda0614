//! The tables: rows with a figure, what it is compared with, and the goal.

use std::time::Duration;

use super::contest;
use crate::load::Throughput;

/// What a figure counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    PerSecond,
    Seconds,
    Kib,
}

impl Unit {
    /// Formats a figure with three digits.
    pub(crate) fn format(self, figure: f64) -> String {
        let (scaled, unit) = match self {
            Self::PerSecond if figure >= 1e6 => (figure / 1e6, "M/s"),
            Self::PerSecond if figure >= 1e3 => (figure / 1e3, "k/s"),
            Self::PerSecond => (figure, "/s"),
            Self::Seconds if figure >= 1.0 => (figure, " s"),
            Self::Seconds if figure >= 1e-3 => (figure * 1e3, " ms"),
            Self::Seconds => (figure * 1e6, " µs"),
            Self::Kib if figure >= 1024.0 * 1024.0 => (figure / 1024.0 / 1024.0, " GiB"),
            Self::Kib if figure >= 1024.0 => (figure / 1024.0, " MiB"),
            Self::Kib => (figure, " KiB"),
        };
        format!("{}{unit}", three_digits(scaled))
    }
}

fn three_digits(number: f64) -> String {
    let places = match number.abs() {
        0.0..0.1 => 3,
        0.1..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{number:.places$}")
}

/// What the issue asks of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// The least ratio.
    RatioAtLeast(f64),
    /// The largest ratio.
    RatioAtMost(f64),
    /// The largest figure, in the unit of the row.
    AtMost(f64),
}

impl Goal {
    fn describe(self, unit: Unit) -> String {
        match self {
            Self::RatioAtLeast(least) => format!("≥ {least} ×"),
            Self::RatioAtMost(most) => format!("≤ {most} ×"),
            Self::AtMost(most) => format!("≤ {}", unit.format(most)),
        }
    }

    fn is_met(self, figure: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
            Self::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Self::AtMost(most) => Some(figure <= most),
        }
    }
}

/// The peer of a row.
pub(crate) enum Beside {
    /// The row has a figure alone.
    Nothing,
    /// The peer's figure, and the ratio of the row's figure to it.
    Figure { figure: f64, ratio: f64 },
    /// Why there is no figure of the peer.
    Missing(String),
}

/// All rows of a run.
pub(crate) struct Report {
    only: String,
    /// Cells: name, figure, peer's figure, ratio, goal, met.
    rows: Vec<[String; 6]>,
    details: Vec<[String; 7]>,
}

const COLUMNS: [&str; 6] = ["row", "circles", "beside", "ratio", "goal", "met"];
const WIDTHS: [usize; 6] = [56, 10, 14, 8, 10, 3];
const DETAIL_COLUMNS: [&str; 7] = ["load", "server", "responses", "p50", "p99", "CPU, server", "CPU, workers"];
const DETAIL_WIDTHS: [usize; 7] = [30, 22, 10, 10, 10, 12, 12];

impl Report {
    pub(crate) fn new(only: &str) -> Self {
        println!("{}", aligned(&COLUMNS.map(String::from), &WIDTHS));
        Self { only: only.into(), rows: Vec::new(), details: Vec::new() }
    }

    /// Whether the run includes a row.
    pub(crate) fn includes(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    /// Whether the run includes a scenario's own row or one beside any of the peers.
    pub(crate) fn includes_any(&self, scenario: &str, peers: &[&str]) -> bool {
        self.includes(scenario) || peers.iter().any(|peer| self.includes(&contest::row_name(scenario, peer)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds and prints a row.
    pub(crate) fn add(&mut self, name: &str, figure: f64, unit: Unit, beside: &Beside, goal: Option<Goal>) {
        let (peer, ratio) = match beside {
            Beside::Nothing => (String::new(), None),
            Beside::Figure { figure, ratio } => (unit.format(*figure), Some(*ratio)),
            Beside::Missing(why) => (why.clone(), None),
        };
        let met = goal.map_or("", |goal| match goal.is_met(figure, ratio) {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        });
        let row = [
            name.into(),
            unit.format(figure),
            peer,
            ratio.map_or_else(String::new, three_digits),
            goal.map_or_else(String::new, |goal| goal.describe(unit)),
            met.into(),
        ];
        println!("{}", aligned(&row, &WIDTHS));
        self.rows.push(row);
    }

    /// Adds and prints a row if the run includes it.
    pub(crate) fn add_if_included(&mut self, name: &str, figure: f64, unit: Unit, beside: &Beside, goal: Option<Goal>) {
        if self.includes(name) {
            self.add(name, figure, unit, beside, goal);
        }
    }

    /// Adds the medians of a server under load, for the second table.
    pub(crate) fn add_details(&mut self, load: &str, server: &str, rounds: &[Throughput]) {
        let time = |of: fn(&Throughput) -> Option<Duration>| {
            let times: Option<Vec<_>> = rounds.iter().map(|round| Some(of(round)?.as_secs_f64())).collect();
            times.map_or_else(String::new, |times| Unit::Seconds.format(median(times.into_iter())))
        };
        let responses = median(rounds.iter().map(|round| round.per_second));
        self.details.push([
            load.into(),
            server.into(),
            Unit::PerSecond.format(responses),
            time(|round| Some(round.p50)),
            time(|round| Some(round.p99)),
            time(|round| Some(round.cpu?.root)),
            // A server without child processes has none of their time.
            time(|round| round.cpu.map(|cpu| cpu.descendants).filter(|time| !time.is_zero())),
        ]);
    }

    pub(crate) fn print_details(&self) {
        println!("\n{}", aligned(&DETAIL_COLUMNS.map(String::from), &DETAIL_WIDTHS));
        for row in &self.details {
            println!("{}", aligned(row, &DETAIL_WIDTHS));
        }
    }

    /// Returns both tables in Markdown.
    pub(crate) fn tables(&self) -> [String; 2] {
        [markdown(&COLUMNS, &self.rows), markdown(&DETAIL_COLUMNS, &self.details)]
    }
}

/// Returns the cells of a row in columns: the first to the left, the others to the right.
fn aligned<const N: usize>(row: &[String; N], widths: &[usize; N]) -> String {
    let mut line = format!("{:<width$}", row[0], width = widths[0]);
    for (cell, width) in row.iter().zip(widths).skip(1) {
        line.push_str(&format!(" {cell:>width$}"));
    }
    line
}

pub(crate) fn markdown<const N: usize>(columns: &[&str; N], rows: &[[String; N]]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("| --- |{}\n", " ---: |".repeat(N - 1));
    let lines = rows.iter().map(|row| line(row));
    [line(&columns.map(String::from)), rule].into_iter().chain(lines).collect()
}

/// Returns the median of figures, of which there is at least one.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
