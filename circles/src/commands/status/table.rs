//! Statuses of circles as a table.

use std::time::Duration;

use launcher::{CircleState, CircleStatus, Statuses, WorkerPoolStatus};
use unicode_width::UnicodeWidthStr;

use super::store_problem::StoreProblem;
use frontend::{
    quantity,
    text::{Style, StyledLine},
    worker_pool::{self, PoolProblem},
};

/// Layers of a complete sandbox.
const ALL_LAYERS: [&str; 3] = ["process", "memory", "syscalls"];

const COLUMN_GAP: &str = "  ";

type Column = (&'static str, fn(&CircleStatus) -> String);

const COLUMNS: [Column; 12] = [
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
    (MACHINES, machines),
    (SANDBOX, sandbox),
];

/// Column of states, in colours.
const STATE: &str = "STATE";

/// Column that is shown only if the sandbox of a circle is incomplete.
const SANDBOX: &str = "SANDBOX";

/// Column that is shown only if a circle has a worker pool.
const MACHINES: &str = "MACHINES";

/// Columns that are hidden on a narrow terminal, in this order.
const OPTIONAL_COLUMNS: [&str; 5] = ["PLAYS", "ACCESS", "RESTARTS", "PID", MACHINES];

/// Maximum number of worker machines that are listed.
const MAX_LISTED_MACHINES: usize = 20;

/// A line of titles, a line for each circle, and reasons of problems. Lists the worker machines of a circle that is the only
/// one. Hides optional columns if `width` is too small.
pub(super) fn lines(statuses: &Statuses, width: usize) -> Vec<StyledLine> {
    let circles = &statuses.circles;
    let is_sandboxed = circles.iter().all(|circle| circle.sandbox.as_deref().is_none_or(is_full_sandbox));
    let has_pool = circles.iter().any(|circle| circle.worker_pool.is_some());
    let mut columns: Vec<Vec<String>> = COLUMNS
        .iter()
        .filter(|(title, _)| *title != SANDBOX || !is_sandboxed)
        .filter(|(title, _)| *title != MACHINES || has_pool)
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
        lines.extend(circle.worker_pool.iter().flat_map(|pool| pool_lines(pool, circles.len() == 1)));
        let refused = |refused| StyledLine::of(Style::Plain, &format!("  change not applied: {refused}"));
        lines.extend(circle.refused.as_ref().map(refused));
    }
    let refused = |refused| {
        StyledLine::of(Style::Plain, &format!("circles.json has an error; still using the previous version: {refused}"))
    };
    lines.extend(statuses.refused.as_ref().map(refused));
    lines
}

/// The problems of a pool, and its machines.
fn pool_lines(pool: &WorkerPoolStatus, is_listed: bool) -> Vec<StyledLine> {
    let problems = PoolProblem::find(pool).into_iter().map(|problem| format!("  {problem}"));
    let mut lines: Vec<String> = problems.collect();
    if is_listed {
        let list = &pool.list[..pool.list.len().min(MAX_LISTED_MACHINES)];
        let width = list.iter().map(|machine| machine.name.width()).max().unwrap_or_default();
        lines.extend(list.iter().map(|machine| {
            format!("  {}  {}", padded(&machine.name, width), worker_pool::machine(machine, &pool.build))
        }));
        let more = (pool.machines + pool.other_builds).saturating_sub(list.len() as u64);
        lines.extend((more > 0).then(|| format!("  and {more} more machines")));
        lines.extend(
            (pool.placements + pool.failed_placements > 0).then(|| format!("  {}", worker_pool::placements(pool))),
        );
    }
    lines.iter().map(|line| StyledLine::of(Style::Plain, line)).collect()
}

fn machines(circle: &CircleStatus) -> String {
    match circle.worker_pool.as_deref() {
        None => "-".into(),
        Some(pool) if pool.machines == 0 => "none".into(),
        Some(pool) => format!("{}, {}/{} used", pool.machines, pool.used, pool.places),
    }
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
    use launcher::{StoreState, StoreStatus, WorkerMachineStatus, WorkerPoolState};
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
            worker_pool: None,
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
    fn worker_pool_adds_a_column_and_its_problems() {
        let machine = |number: u64| WorkerMachineStatus {
            name: format!("m{number}"),
            build: "b1".into(),
            places: 4,
            used: number,
            ..WorkerMachineStatus::default()
        };
        let mut pool = WorkerPoolStatus {
            machines: 2,
            places: 8,
            used: 3,
            placements: 5,
            placement_p50_us: Some(800),
            build: "b1".into(),
            list: vec![machine(1), machine(2)],
            ..WorkerPoolStatus::default()
        };
        let with = |pool: &WorkerPoolStatus| CircleStatus { worker_pool: Some(Box::new(pool.clone())), ..circle(None) };
        let shown = text(&[with(&pool), circle(None)], usize::MAX);
        let ends: Vec<&str> = shown.lines().map(|line| line.rsplit(COLUMN_GAP).next().expect("a cell")).collect();
        assert_eq!(ends, ["MACHINES", "2, 3/8 used", "-"]);
        let one = text(&[with(&pool)], usize::MAX);
        assert!(
            one.ends_with(
                "\n  m1  1 of 4 places used\n  m2  2 of 4 places used\n  5 workers placed, in 800 µs (median)\n"
            ),
            "{one}"
        );
        assert!(!text(&[with(&pool)], 0).contains("MACHINES"));
        pool.list = (0..50).map(machine).collect();
        pool.machines = 300;
        let many = text(&[with(&pool)], usize::MAX);
        assert!(many.contains("\n  and 280 more machines\n") && many.lines().count() == 24, "{many}");
        let none = WorkerPoolStatus { state: WorkerPoolState::NoMachine, ..WorkerPoolStatus::default() };
        let none = text(&[with(&none), circle(None)], usize::MAX);
        assert!(none.contains("  none\n  no worker machine: start one: circles worker --nats URL\n"), "{none}");
        assert!(!text(&[circle(None)], usize::MAX).contains("MACHINES"));
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
