//! The points of a play's life, and the faults that happen there.
//!
//! A cell is a point and a fault. What holds in each of them:
//!
//! - The client gets one answer to each play, unless its own connection ends: a result, −32009, or −32006 with a time.
//! - A play runs at most once: it counts itself in the store.
//! - The prints of a play arrive once and in order, and all of them if it succeeds.
//! - After the fault, plays run again. After the client has gone, the machines have no worker.

use std::{
    collections::BTreeMap,
    panic::catch_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::{
    client::{Client, SentPlay},
    points::Point,
    team::{Team, counts},
};
use crate::support::{
    Home, eventually,
    nats::{program, report_skipped},
};

/// Number of cells that run at the same time. They wait most of the time.
const CONCURRENT_CELLS: usize = 12;

/// Variable with which the test runs all cells.
const LONG_VARIABLE: &str = "CIRCLES_NATS_LONG";

/// What happens at a point, and ends before the client gets its last answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The worker processes are killed.
    KillWorker,
    /// The machine is killed; another one starts.
    KillMachine,
    /// The machine stops until the circle has given it up.
    StopMachine,
    /// The machine gets SIGTERM; another one starts.
    TerminateMachine,
    /// The circle is killed and starts again.
    KillCircle,
    /// nats-server is killed and starts again.
    KillNats,
    /// nats-server stops until its clients have noticed.
    StopNats,
    /// The network loses the packets of the machine until the circle has given it up.
    FreezeMachine,
    /// The network loses the packets of the circle until the machine has given it up.
    FreezeCircle,
    /// The connection of the machine ends, and it connects again.
    CutMachine,
}

impl Fault {
    const ALL: [Self; 10] = [
        Self::KillWorker,
        Self::KillMachine,
        Self::StopMachine,
        Self::TerminateMachine,
        Self::KillCircle,
        Self::KillNats,
        Self::StopNats,
        Self::FreezeMachine,
        Self::FreezeCircle,
        Self::CutMachine,
    ];

    /// Whether sessions only have a delay.
    pub(super) fn is_lossless(self) -> bool {
        matches!(self, Self::KillNats | Self::StopNats | Self::CutMachine)
    }

    fn apply(self, team: &mut Team) {
        match self {
            Self::KillWorker => {
                for worker in team.machines[0].workers() {
                    // The play may have ended.
                    let _ended = kill_process(worker, Signal::KILL);
                }
            }
            Self::KillMachine => team.machines[0].kill(),
            Self::StopMachine => team.machines[0].signal(Signal::STOP),
            Self::TerminateMachine => team.machines[0].signal(Signal::TERM),
            Self::KillCircle => team.restart_circle(),
            Self::KillNats => team.nats.kill(),
            Self::StopNats => team.nats.signal("STOP"),
            Self::FreezeMachine => team.machine_proxy.freeze(),
            Self::FreezeCircle => team.circle_proxy.freeze(),
            Self::CutMachine => team.machine_proxy.cut(),
        }
    }

    /// Waits until the fault has been noticed, and ends it. `connections` are those that the machine and the circle had
    /// made to NATS before the fault.
    fn heal(self, team: &mut Team, client: &mut Client, connections: [usize; 2]) {
        match self {
            Self::KillWorker | Self::KillCircle => {}
            Self::KillMachine | Self::TerminateMachine => team.add_ready_machine("spare"),
            Self::StopMachine => {
                client.read_answers();
                team.machines[0].signal(Signal::CONT);
            }
            Self::KillNats => team.nats.launch(""),
            Self::StopNats => {
                wait_for_reconnection(|| team.machine_proxy.connections() > connections[0]);
                wait_for_reconnection(|| team.circle_proxy.connections() > connections[1]);
                team.nats.signal("CONT");
            }
            Self::FreezeMachine => {
                client.read_answers();
                team.machine_proxy.thaw();
            }
            Self::FreezeCircle => {
                team.machines[0].wait_for_workers(0);
                team.circle_proxy.thaw();
            }
            Self::CutMachine => {
                wait_for_reconnection(|| team.machine_proxy.connections() > connections[0]);
                team.machine_proxy.thaw();
            }
        }
    }
}

fn wait_for_reconnection(has_reconnected: impl Fn() -> bool) {
    eventually(|| if has_reconnected() { Ok(()) } else { Err("no new connection to NATS") });
}

/// The cells of each run. `CIRCLES_NATS_LONG` runs all.
const CELLS: &[(Point, &[Fault])] = {
    use Fault::{
        CutMachine, FreezeCircle, FreezeMachine, KillCircle, KillMachine, KillNats, KillWorker, StopMachine, StopNats,
        TerminateMachine,
    };
    &[
        (Point::Fresh, &[KillMachine, StopMachine, KillNats, StopNats, FreezeCircle, CutMachine]),
        (Point::Idle, &[KillWorker, StopMachine, TerminateMachine, KillNats, FreezeCircle]),
        (Point::Requested, &[StopMachine, KillMachine, KillNats, TerminateMachine]),
        (Point::Starting, &[KillMachine, KillNats, TerminateMachine, CutMachine]),
        (
            Point::Running,
            &[KillWorker, KillMachine, StopMachine, StopNats, FreezeMachine, FreezeCircle, KillCircle, CutMachine],
        ),
        (Point::Printing, &[KillWorker, KillNats, CutMachine, KillCircle, FreezeMachine]),
        (Point::HostCalls, &[KillWorker, KillMachine, KillNats, CutMachine, FreezeCircle]),
        (Point::FunctionCall, &[KillWorker, KillMachine, KillNats, StopMachine]),
        (Point::Committing, &[KillWorker, KillMachine, KillCircle, KillNats, TerminateMachine]),
        (Point::Ahead, &[KillWorker, StopNats, TerminateMachine, KillMachine]),
        (Point::Outcome, &[KillMachine, KillNats, CutMachine, KillCircle]),
        (Point::Cancelling, &[KillMachine, KillNats, StopMachine]),
        (Point::Draining, &[KillMachine, KillNats, KillWorker, StopMachine]),
    ]
};

#[test]
fn plays_survive_faults_or_fail_once() {
    if program().is_none() {
        return report_skipped("plays_survive_faults_or_fail_once");
    }
    let mut cells: Vec<(Point, Fault)> = if std::env::var_os(LONG_VARIABLE).is_some() {
        Point::ALL.iter().flat_map(|point| Fault::ALL.map(|fault| (*point, fault))).collect()
    } else {
        CELLS.iter().flat_map(|(point, faults)| faults.iter().map(|fault| (*point, *fault))).collect()
    };
    cells.reverse();
    let (cells, failures) = (Mutex::new(cells), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..CONCURRENT_CELLS {
            scope.spawn(|| {
                let next = || cells.lock().unwrap_or_else(PoisonError::into_inner).pop();
                while let Some((point, fault)) = next() {
                    let ran = catch_unwind(|| run(point, fault)).map_err(|_| "panic".to_owned()).flatten();
                    if let Err(error) = ran {
                        eprintln!("{point:?} × {fault:?}: {error}");
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push((point, fault, error));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Runs a cell.
fn run(point: Point, fault: Fault) -> Result<(), String> {
    let home = Home::new();
    point.write_files(home.path());
    let test = format!("{point:?}_{fault:?}");
    let limits = [
        "--limit",
        "output_kib=8192",
        "--limit",
        "host_calls=10000",
        "--limit",
        "call_ms=60000",
        "--limit",
        "play_ms=120000",
    ];
    let Some(mut team) = Team::without_machine_in(home, &test, &limits) else { return Ok(()) };
    team.add_ready_machine("m1");
    let mut client = Client::new(team.connect());
    point.reach(&mut team, &mut client);
    let connections = [team.machine_proxy.connections(), team.circle_proxy.connections()];
    fault.apply(&mut team);
    point.continue_during_fault(&mut client);
    if point == Point::Requested && matches!(fault, Fault::StopNats | Fault::CutMachine) {
        // A stopped machine would not notice.
        team.machines[0].signal(Signal::CONT);
    }
    fault.heal(&mut team, &mut client, connections);
    point.finish(&team, &mut client, fault);
    client.read_answers();
    if client.has_ended && fault != Fault::KillCircle {
        return Err("the circle has closed the connection".into());
    }
    // A failed test shows it.
    println!("{point:?} × {fault:?}: {}", summary(&client));
    for play in &client.plays {
        play.check()?;
        check_answer(point, fault, play, client.has_ended)?;
    }
    let plays: Vec<(String, bool)> = client.plays.iter().map(|play| (play.key.clone(), play.has_succeeded())).collect();
    let mut wire = if client.has_ended { team.connect() } else { client.into_wire() };
    let keys: Vec<String> = plays.iter().map(|(key, _)| key.clone()).collect();
    let counted = counts(&mut wire, &keys);
    let is_once = plays.iter().zip(&counted).all(|((_, has_succeeded), count)| match has_succeeded {
        true => *count == 1,
        false => *count <= 1,
    });
    if !is_once {
        return Err(format!("the plays {plays:?} ran {counted:?} times"));
    }
    drop(wire);
    // A machine that drains ends with its last worker, and publishes no more.
    if fault == Fault::TerminateMachine || point == Point::Draining {
        let status = team.machines[0].wait();
        // A second signal ends it at once.
        let expected = if fault == Fault::TerminateMachine && point == Point::Draining { 130 } else { 0 };
        if fault != Fault::KillMachine && status.code() != Some(expected) {
            return Err(format!("the machine ended with {status}"));
        }
    }
    team.wait_until_idle();
    Ok(())
}

/// What the client got: the numbers of results and of each error, and of lost environments between plays.
fn summary(client: &Client) -> String {
    let mut seen = BTreeMap::new();
    for play in &client.plays {
        let outcome = match play.answer() {
            None => "no answer".to_owned(),
            Some(answer) => answer["error"]["code"].as_i64().map_or("result".to_owned(), |code| code.to_string()),
        };
        *seen.entry(outcome).or_insert(0) += 1;
    }
    if !client.resets.is_empty() {
        seen.insert("session.reset".into(), client.resets.len());
    }
    format!("{seen:?}")
}

/// Checks that the answer of a play is one of those that fit.
fn check_answer(point: Point, fault: Fault, play: &SentPlay, has_ended: bool) -> Result<(), String> {
    let Some(answer) = play.answer() else {
        return if has_ended { Ok(()) } else { Err("no answer".into()) };
    };
    let (code, data) = (&answer["error"]["code"], &answer["error"]["data"]);
    let is_allowed = match code.as_i64() {
        None => answer.get("result").is_some(),
        Some(-32009) => data["reason"] == "killed" && !(fault.is_lossless() && point.survives_delays()),
        Some(-32006) => {
            data["limit"] == "workers"
                && data["retry_after_ms"].as_u64().is_some()
                && !(fault.is_lossless() && point.survives_delays())
        }
        Some(-32005) => point.is_cancelled(),
        _ => false,
    };
    let text = |answer: &Value| answer.to_string().chars().take(500).collect::<String>();
    if is_allowed { Ok(()) } else { Err(format!("play {}: {}", play.key, text(answer))) }
}
