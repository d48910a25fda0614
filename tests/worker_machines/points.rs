//! The points of a play's life at which faults happen.

use std::{fs, path::Path};

use rustix::process::Signal;

use super::{
    client::Client,
    matrix::Fault,
    team::{Team, play_when_possible},
};
use crate::support::{eventually, machine::wait_for_state, process::wait_until_stopped};

/// Number of short plays that a client sends at once.
const PIPELINED: usize = 30;

/// Number of long prints, 3 MB together: more than sockets and links hold.
const LONG_PRINTS: usize = 3000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// The session has no worker yet; the play comes during the fault.
    Fresh,
    /// The worker is idle; the next play comes during the fault.
    Idle,
    /// The circle has requested a worker, and the machine is stopped.
    Requested,
    /// The fork server runs a slow init script.
    Starting,
    /// The play computes.
    Running,
    /// The play prints, and the client does not read.
    Printing,
    /// The play calls host functions.
    HostCalls,
    /// The play waits for a function.
    FunctionCall,
    /// Short plays commit one after another.
    Committing,
    /// The worker has plays behind the running one.
    Ahead,
    /// Large outcomes are on their way.
    Outcome,
    /// The client has cancelled the play.
    Cancelling,
    /// The machine drains while the play computes.
    Draining,
}

impl Point {
    pub(super) const ALL: [Self; 13] = [
        Self::Fresh,
        Self::Idle,
        Self::Requested,
        Self::Starting,
        Self::Running,
        Self::Printing,
        Self::HostCalls,
        Self::FunctionCall,
        Self::Committing,
        Self::Ahead,
        Self::Outcome,
        Self::Cancelling,
        Self::Draining,
    ];

    /// Whether the client cancels the first play.
    pub(super) fn is_cancelled(self) -> bool {
        matches!(self, Self::Running | Self::FunctionCall | Self::Ahead | Self::Cancelling | Self::Draining)
    }

    /// Whether a fault that only delays messages has no effect on plays. A session without a worker may get none, and a
    /// circle kills the worker of a play that does not stop in a second.
    pub(super) fn survives_delays(self) -> bool {
        !matches!(self, Self::Fresh | Self::Requested | Self::Starting | Self::Cancelling | Self::Draining)
    }

    /// Writes the files of the circle that differ from those of other points.
    pub(super) fn write_files(self, home: &Path) {
        if self == Self::Starting {
            let init = "fn work() { let n = 0; while n < 2000000 { n += 1; } n }\nconst WORK = work();\n";
            fs::write(home.join("init.rhai"), init).expect("written");
        }
    }

    /// Brings the play to the point.
    pub(super) fn reach(self, team: &mut Team, client: &mut Client) {
        match self {
            Self::Fresh => {}
            Self::Idle => {
                client.send("first", 0, "let kept = 1;");
                client.read_answers();
            }
            Self::Requested => {
                team.machines[0].signal(Signal::STOP);
                wait_until_stopped(team.machines[0].pid());
                client.send("a", 3, "for i in 0..3 { print(i) }");
            }
            Self::Starting => {
                client.send("a", 3, "for i in 0..3 { print(i) }");
                eventually(|| if team.machines[0].fork_servers().is_empty() { Err("no fork server") } else { Ok(()) });
            }
            Self::Running | Self::Cancelling => compute(client),
            Self::Printing => {
                let script = format!(
                    "let long = \"x\"; long.pad(1000, \"x\"); for i in 0..{LONG_PRINTS} {{ print(`${{i}} ${{long}}`) }}"
                );
                client.send("a", LONG_PRINTS, &script);
                team.machines[0].wait_for_workers(1);
            }
            Self::HostCalls => {
                client.send("a", 1, "print(0); for i in 0..3000 { store::get(\"key\", 0); }");
                client.read_first_print();
            }
            Self::FunctionCall => {
                client.send("a", 1, "print(0); circle::work::spin()");
                client.read_first_print();
                team.machines[0].wait_for_workers(2);
            }
            Self::Committing => {
                for number in 0..PIPELINED {
                    client.send(&format!("a{number}"), 1, "print(0)");
                }
                client.read_until(|client| client.plays[0].answer().is_some());
            }
            Self::Ahead => {
                client.send("a", 1, "print(0); loop {}");
                for number in 0..5 {
                    client.send(&format!("a{number}"), 1, "print(0)");
                }
                client.read_first_print();
            }
            Self::Outcome => {
                for number in 0..4 {
                    client.send(
                        &format!("a{number}"),
                        1,
                        "print(0); let value = \"x\"; value.pad(200000, \"x\"); value",
                    );
                }
                client.read_first_print();
            }
            Self::Draining => {
                compute(client);
                team.add_ready_machine("m2");
                team.machines[0].signal(Signal::TERM);
                wait_for_state(&team.nats, "m1", |state| state["is_draining"] == true);
            }
        }
        if self == Self::Cancelling {
            client.cancel();
        }
    }

    /// What the client does during the fault.
    pub(super) fn continue_during_fault(self, client: &mut Client) {
        if matches!(self, Self::Fresh | Self::Idle) && !client.has_ended {
            client.send("a", 3, "for i in 0..3 { print(i) }");
        }
    }

    /// Ends what the point has begun.
    pub(super) fn finish(self, team: &Team, client: &mut Client, fault: Fault) {
        match self {
            Self::Requested => team.machines[0].signal(Signal::CONT),
            Self::Running | Self::FunctionCall | Self::Ahead | Self::Draining => {
                if fault.is_lossless() {
                    // The machine is connected again, so the play stops in time.
                    play_when_possible(&mut team.connect(), "1");
                }
                client.cancel();
            }
            _ => {}
        }
    }
}

fn compute(client: &mut Client) {
    client.send("a", 1, "print(0); loop {}");
    client.read_first_print();
}
