//! Texts about the worker pool of a circle.

use std::{fmt, time::Duration};

use launcher::{WorkerMachineStatus, WorkerPoolState, WorkerPoolStatus};

use crate::quantity;

/// What to do about machines of different builds.
const SAME_VERSION: &str = "run the same version of circles on all machines";

/// What is wrong with a worker pool, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolProblem {
    /// What is wrong.
    pub what: String,
    /// What to do; empty if `what` says it.
    pub fix: String,
    /// Whether the circle gets no workers.
    pub is_failure: bool,
}

impl PoolProblem {
    fn new(is_failure: bool, what: impl Into<String>, fix: &str) -> Self {
        Self { what: what.into(), fix: fix.into(), is_failure }
    }

    /// A problem from a text that says what to do after the last separator.
    fn split(text: &str, separator: &str) -> Self {
        let (what, fix) = text.rsplit_once(separator).unwrap_or((text, ""));
        Self::new(true, what, fix)
    }

    /// What keeps machines of the circle's build from accepting workers.
    fn full(pool: &WorkerPoolStatus) -> Self {
        let mut own = pool.list.iter().filter(|machine| machine.build == pool.build).peekable();
        if own.peek().is_some() && own.all(|machine| machine.is_draining) {
            Self::new(false, format!("all worker machines drain ({})", summary(pool)), "start another one")
        } else if pool.used < pool.places {
            let what = format!("the worker machines have no memory for more workers ({})", summary(pool));
            Self::new(false, what, "add a machine, or raise its --memory-mib")
        } else {
            let what = format!("the worker machines have no free place ({})", summary(pool));
            Self::new(false, what, "add a machine, or raise its --places")
        }
    }

    /// Finds what is wrong with a pool.
    pub fn find(pool: &WorkerPoolStatus) -> Vec<Self> {
        let error = pool.error.as_deref().unwrap_or_default();
        let main = match pool.state {
            WorkerPoolState::Ok => None,
            WorkerPoolState::Conflict => Some(Self::split(pool.conflict.as_deref().unwrap_or_default(), ": ")),
            WorkerPoolState::Disconnected if error.starts_with("could not connect") => Some(Self::split(error, "; ")),
            WorkerPoolState::Disconnected => Some(Self::new(
                true,
                format!("no connection to NATS ({error})"),
                "check the servers in worker_pool, and that nats-server runs there",
            )),
            WorkerPoolState::Refused | WorkerPoolState::Denied => Some(Self::split(error, ": ")),
            WorkerPoolState::Full => Some(Self::full(pool)),
            WorkerPoolState::NoMachine => {
                Some(Self::new(true, "no worker machine", "start one: circles worker --nats URL"))
            }
            WorkerPoolState::OtherBuild => Some(Self::new(
                true,
                format!("no worker machine runs the build of the circle, {}; others run {}", pool.build, builds(pool)),
                SAME_VERSION,
            )),
            _ => None,
        };
        let mut problems: Vec<Self> = main.into_iter().collect();
        if pool.other_builds > 0 && pool.state != WorkerPoolState::OtherBuild {
            let verb = if pool.other_builds == 1 { "runs" } else { "run" };
            let what = format!(
                "{} {verb} another build ({}), and no workers of this circle",
                count(pool.other_builds, "worker machine"),
                builds(pool)
            );
            problems.push(Self::new(false, what, SAME_VERSION));
        }
        let duplicates: Vec<&str> =
            pool.list.iter().filter(|machine| machine.is_duplicate).map(|machine| machine.name.as_str()).collect();
        if !duplicates.is_empty() {
            let what = format!("several worker machines have the same name: {}", duplicates.join(", "));
            problems.push(Self::new(true, what, "give each its own: circles worker --name NAME"));
        }
        problems
    }
}

impl fmt::Display for PoolProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, ": {}", self.fix) }
    }
}

/// Returns the builds of the machines that do not have that of the circle, each with the versions of its machines.
fn builds(pool: &WorkerPoolStatus) -> String {
    let mut builds: Vec<String> = pool
        .list
        .iter()
        .filter(|machine| machine.build != pool.build)
        .map(|machine| format!("{} {}", machine.version, machine.build))
        .collect();
    builds.sort();
    builds.dedup();
    builds.join(", ")
}

fn count(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Returns how many machines and places a pool has: `2 machines, 5 of 32 places used`.
pub fn summary(pool: &WorkerPoolStatus) -> String {
    match pool.state {
        WorkerPoolState::Disconnected | WorkerPoolState::Refused => "not connected to NATS".into(),
        _ if pool.machines == 0 => "no machine".into(),
        _ => format!("{}, {} of {} places used", count(pool.machines, "machine"), pool.used, pool.places),
    }
}

/// Returns the state of a pool in at most 22 columns, unless its numbers are large.
pub fn short(pool: &WorkerPoolStatus) -> String {
    match pool.state {
        WorkerPoolState::Disconnected => "not connected to NATS".into(),
        WorkerPoolState::Refused => "credentials refused".into(),
        WorkerPoolState::Denied => "NATS permission denied".into(),
        WorkerPoolState::Conflict => "name used twice".into(),
        WorkerPoolState::NoMachine => "no worker machine".into(),
        WorkerPoolState::OtherBuild => "machines: other build".into(),
        _ => format!("{}, {}/{} used", count(pool.machines, "machine"), pool.used, pool.places),
    }
}

/// Returns what a pool has done: `12 workers placed, in 1.23 ms (median); 1 failed`.
pub fn placements(pool: &WorkerPoolStatus) -> String {
    let mut text = format!("{} placed", count(pool.placements, "worker"));
    if let Some(median) = pool.placement_p50_us {
        text += &format!(", in {} (median)", quantity::duration(Duration::from_micros(median)));
    }
    if pool.failed_placements > 0 {
        text += &format!("; {} failed", pool.failed_placements);
    }
    text
}

/// Returns the state of a machine for a circle of a build: `5 of 16 places used, drains`.
pub fn machine(machine: &WorkerMachineStatus, build: &str) -> String {
    let mut text = format!("{} of {} places used", machine.used, machine.places);
    if machine.is_draining {
        text += ", drains";
    }
    if machine.is_duplicate {
        text += ", shares its name with another machine";
    }
    if machine.build != build {
        text += &format!(", another build ({} {})", machine.version, machine.build);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(state: WorkerPoolState) -> WorkerPoolStatus {
        let machine = |name: &str, build: &str| WorkerMachineStatus {
            name: name.into(),
            version: "0.1.0".into(),
            build: build.into(),
            places: 4,
            used: 1,
            ..WorkerMachineStatus::default()
        };
        WorkerPoolStatus {
            state,
            machines: 1,
            places: 4,
            used: 1,
            build: "b1".into(),
            list: vec![machine("m1", "b1")],
            ..WorkerPoolStatus::default()
        }
    }

    fn problems(pool: &WorkerPoolStatus) -> Vec<String> {
        PoolProblem::find(pool).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_problem_names_its_fix() {
        assert_eq!(PoolProblem::find(&pool(WorkerPoolState::Ok)), []);
        let none = WorkerPoolStatus { machines: 0, list: Vec::new(), ..pool(WorkerPoolState::NoMachine) };
        assert_eq!(problems(&none), ["no worker machine: start one: circles worker --nats URL"]);
        let full = WorkerPoolStatus { used: 4, ..pool(WorkerPoolState::Full) };
        assert_eq!(
            problems(&full),
            [
                "the worker machines have no free place (1 machine, 4 of 4 places used): add a machine, or raise its --places"
            ]
        );
        let without_memory = pool(WorkerPoolState::Full);
        assert_eq!(
            problems(&without_memory),
            ["the worker machines have no memory for more workers (1 machine, 1 of 4 places used): add a machine, or \
              raise its --memory-mib"]
        );
        let mut draining = without_memory;
        draining.list[0].is_draining = true;
        assert_eq!(
            problems(&draining),
            ["all worker machines drain (1 machine, 1 of 4 places used): start another one"]
        );
        let mut other = pool(WorkerPoolState::OtherBuild);
        (other.machines, other.other_builds, other.build) = (0, 1, "b2".into());
        assert_eq!(
            problems(&other),
            [
                "no worker machine runs the build of the circle, b2; others run 0.1.0 b1: run the same version of circles on \
              all machines"
            ]
        );
        (other.machines, other.state) = (1, WorkerPoolState::Ok);
        assert_eq!(
            problems(&other),
            ["1 worker machine runs another build (0.1.0 b1), and no workers of this circle: run the same version of \
              circles on all machines"]
        );
        let mut lost = pool(WorkerPoolState::Disconnected);
        lost.error = Some("the connection has ended".into());
        assert!(problems(&lost)[0].starts_with("no connection to NATS (the connection has ended): check the servers"));
        lost.error = Some("could not connect to NATS at n1: refused; check the address".into());
        assert_eq!(problems(&lost), ["could not connect to NATS at n1: refused: check the address"]);
        for state in [WorkerPoolState::Refused, WorkerPoolState::Denied] {
            lost.state = state;
            lost.error = Some("NATS denies this (a: b; c: d): add it".into());
            let [problem] = &PoolProblem::find(&lost)[..] else { panic!("one problem") };
            assert_eq!((problem.what.as_str(), problem.fix.as_str()), ("NATS denies this (a: b; c: d)", "add it"));
        }
        lost.state = WorkerPoolState::Conflict;
        lost.conflict = Some("two circles: rename one".into());
        assert_eq!(problems(&lost), ["two circles: rename one"]);
        let mut twins = pool(WorkerPoolState::Ok);
        twins.list[0].is_duplicate = true;
        assert_eq!(
            problems(&twins),
            ["several worker machines have the same name: m1: give each its own: circles worker --name NAME"]
        );
    }

    #[test]
    fn summaries_count() {
        let mut pool = pool(WorkerPoolState::Ok);
        assert_eq!(summary(&pool), "1 machine, 1 of 4 places used");
        assert_eq!(placements(&pool), "0 workers placed");
        (pool.placements, pool.placement_p50_us, pool.failed_placements) = (12, Some(1_234), 1);
        assert_eq!(placements(&pool), "12 workers placed, in 1.23 ms (median); 1 failed");
        (pool.list[0].is_draining, pool.list[0].is_duplicate) = (true, true);
        assert_eq!(machine(&pool.list[0], "b1"), "1 of 4 places used, drains, shares its name with another machine");
        assert!(machine(&pool.list[0], "b2").ends_with(", another build (0.1.0 b1)"));
        assert_eq!(short(&pool), "1 machine, 1/4 used");
        (pool.machines, pool.state) = (0, WorkerPoolState::NoMachine);
        assert_eq!(short(&pool), "no worker machine");
        assert_eq!(summary(&pool), "no machine");
        pool.state = WorkerPoolState::Disconnected;
        assert_eq!(summary(&pool), "not connected to NATS");
    }
}
