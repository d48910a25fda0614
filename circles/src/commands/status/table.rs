//! Statuses of circles as a table.

use std::time::Duration;

use launcher::{CircleState, CircleStatus, Statuses};
use unicode_width::UnicodeWidthStr;

use super::store_problem::StoreProblem;
use frontend::{
    quantity,
    text::{Style, StyledLine},
};

/// Layers of a complete sandbox.
const ALL_LAYERS: [&str; 3] = ["process", "memory", "syscalls"];

const COLUMN_GAP: &str = "  ";

type Column = (&'static str, fn(&CircleStatus) -> String);

const COLUMNS: [Column; 11] = [
    ("NAME", |circle| circle.name.clone()),
    (STATE, |circle| circle.state.to_string()),
    ("URL", |circle| circle.url.clone()),
    ("ACCESS", |circle| circle.access.to_string()),
    ("PID", |circle| or_dash(circle.pid)),
    ("UP", |circle| or_dash(circle.uptime_s.map(|up| humantime::format_duration(Duration::from_secs(up))))),
    ("RESTARTS", |circle| circle.restarts.to_string()),
    ("CONNECTIONS", |circle| or_dash(circle.connections)),
    ("MEMORY", |circle| or_dash(circle.memory_bytes.map(quantity::size))),
    ("PLAYS", |circle| or_dash(circle.plays)),
    (SANDBOX, sandbox),
];

/// Column of states, in colours.
const STATE: &str = "STATE";

/// Column that is shown only if the sandbox of a circle is incomplete.
const SANDBOX: &str = "SANDBOX";

/// Columns that are hidden on a narrow terminal, in this order.
const OPTIONAL_COLUMNS: [&str; 4] = ["PLAYS", "ACCESS", "RESTARTS", "PID"];

/// A line of titles, a line for each circle, and reasons of problems. Hides optional columns if `width` is too small.
pub(super) fn lines(statuses: &Statuses, width: usize) -> Vec<StyledLine> {
    let circles = &statuses.circles;
    let is_sandboxed = circles.iter().all(|circle| circle.sandbox.as_deref().is_none_or(is_full_sandbox));
    let mut columns: Vec<Vec<String>> = COLUMNS
        .iter()
        .filter(|(title, _)| *title != SANDBOX || !is_sandboxed)
        .map(|(title, cell)| std::iter::once((*title).to_owned()).chain(circles.iter().map(cell)).collect())
        .collect();
    for title in OPTIONAL_COLUMNS {
        if columns.iter().map(|column| widest(column) + COLUMN_GAP.len()).sum::<usize>()
            <= width.saturating_add(COLUMN_GAP.len())
        {
            break;
        }
        columns.retain(|column| column[0] != title);
    }
    let row = |index: usize, style_of: &dyn Fn(&str) -> Style| {
        let mut line = StyledLine::default();
        for (number, column) in columns.iter().enumerate() {
            let is_last = number + 1 == columns.len();
            let cell =
                if is_last { column[index].clone() } else { padded(&column[index], widest(column)) + COLUMN_GAP };
            line.push(style_of(&column[0]), &cell);
        }
        line
    };
    let mut lines = vec![row(0, &|_| Style::Dim)];
    for (index, circle) in circles.iter().enumerate() {
        let state_style = match circle.state {
            CircleState::Ready => Style::Success,
            CircleState::Failed => Style::Error,
            CircleState::Starting | CircleState::Draining | CircleState::BackingOff => Style::Warning,
            _ => Style::Dim,
        };
        lines.push(row(index + 1, &|title| if title == STATE { state_style } else { Style::Plain }));
        lines.extend(circle.why.as_ref().map(|why| StyledLine::of(Style::Plain, &format!("  {why}"))));
        let problem = StoreProblem::find(circle);
        lines.extend(problem.map(|problem| StyledLine::of(Style::Plain, &format!("  {problem}"))));
        let refused = |refused| StyledLine::of(Style::Plain, &format!("  change not applied: {refused}"));
        lines.extend(circle.refused.as_ref().map(refused));
    }
    let refused = |refused| {
        StyledLine::of(Style::Plain, &format!("circles.json has an error; still using the previous version: {refused}"))
    };
    lines.extend(statuses.refused.as_ref().map(refused));
    lines
}

fn widest(column: &[String]) -> usize {
    column.iter().map(|cell| cell.width()).max().unwrap_or_default()
}

fn padded(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

pub(crate) fn is_full_sandbox(layers: &[String]) -> bool {
    ALL_LAYERS.iter().all(|layer| layers.iter().any(|holds| holds == layer))
}

fn sandbox(circle: &CircleStatus) -> String {
    match circle.sandbox.as_deref() {
        None => "-".into(),
        Some([]) => "none".into(),
        Some(layers) if is_full_sandbox(layers) => "full".into(),
        Some(layers) => layers.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use launcher::{StoreState, StoreStatus};
    use server_ws::Access;

    use super::*;

    fn circle(sandbox: Option<&[&str]>) -> CircleStatus {
        CircleStatus {
            name: "team".into(),
            url: "ws://127.0.0.1:9002".into(),
            state: CircleState::Ready,
            pid: Some(4711),
            restarts: 0,
            uptime_s: Some(3723),
            access: Access::Members,
            connections: Some(12),
            workers: Some(3),
            plays: Some(123_456),
            memory_bytes: Some(5 << 20),
            sandbox: sandbox.map(|layers| layers.iter().copied().map(Into::into).collect()),
            store: None,
            identity: None,
            recovered_percent: None,
            why: None,
            refused: None,
        }
    }

    fn text(circles: &[CircleStatus], width: usize) -> String {
        let statuses = Statuses { circles: circles.to_vec(), is_ending: false, refused: None };
        lines(&statuses, width).iter().map(|line| line.to_string() + "\n").collect()
    }

    #[test]
    fn narrow_terminal_hides_optional_columns() {
        let all = text(&[circle(Some(&ALL_LAYERS))], usize::MAX);
        assert_eq!(
            all,
            "NAME  STATE  URL                  ACCESS   PID   UP        RESTARTS  CONNECTIONS  MEMORY   PLAYS\n\
             team  ready  ws://127.0.0.1:9002  members  4711  1h 2m 3s  0         12           5.0 MiB  123456\n"
        );
        let width = all.lines().map(str::len).max().expect("lines");
        assert_eq!(text(&[circle(Some(&ALL_LAYERS))], width), all);
        let narrower = text(&[circle(Some(&ALL_LAYERS))], width - 1);
        assert!(!narrower.contains("PLAYS") && narrower.contains("MEMORY"), "{narrower}");
        let narrow = text(&[circle(Some(&ALL_LAYERS))], 0);
        assert!(narrow.starts_with("NAME  STATE  URL                  UP        CONNECTIONS  MEMORY\n"), "{narrow}");
    }

    #[test]
    fn store_that_refuses_is_shown() {
        let shown = |state| {
            let store = StoreStatus {
                state,
                bytes: 3 << 20,
                max_bytes: 4 << 20,
                file_bytes: 8 << 20,
                ..StoreStatus::default()
            };
            text(&[CircleStatus { store: Some(store), ..circle(None) }], usize::MAX)
        };
        assert_eq!(shown(StoreState::Ok).lines().count(), 2);
        let full = shown(StoreState::Full);
        assert!(
            full.contains("\n  the store is full (3.0 MiB of 4.0 MiB, in a file of 8.0 MiB): delete entries"),
            "{full}"
        );
        let failed = shown(StoreState::Failed);
        assert!(failed.contains("\n  the store has failed: ") && failed.contains("circles restart team\n"), "{failed}");
    }

    #[test]
    fn incomplete_sandbox_is_shown() {
        let mut down = circle(None);
        (down.state, down.why) = (CircleState::Failed, Some("it ended\nbadly\x1b[2J".into()));
        let shown =
            text(&[circle(Some(&["process", "memory"])), circle(Some(&[])), circle(Some(&ALL_LAYERS)), down], 900);
        let last: Vec<&str> = shown.lines().map(|line| line.rsplit(COLUMN_GAP).next().expect("a cell")).collect();
        assert_eq!(last, ["SANDBOX", "process, memory", "none", "full", "-", "it ended badly␛[2J"]);
    }
}
