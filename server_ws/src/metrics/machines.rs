//! The series of the workers on other machines, and of the connection to NATS.

use std::fmt::Write;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use worker_nats::{
    server::{HubStatus, MachineInfo, PlacementDelays},
    subjects::SubjectName,
};

use super::{
    labels::{MetricLabel, labels},
    series::{Counters, Gauges, set},
};

const PLACEMENT_SECONDS: &str = "circles_placement_seconds";

labels! {
    /// The state of a worker machine for a circle.
    WorkerMachineState {
        /// It accepts workers.
        Ready = "ready",
        Full = "full",
        Draining = "draining",
        /// It runs another build, so it gets no workers of the circle.
        OtherBuild = "other_build",
        /// Another machine has the same name.
        Duplicate = "duplicate",
    }

    /// The outcome of the request of a worker on another machine.
    PlacementOutcome {
        Placed = "placed",
        NoMachine = "no_machine",
        /// Only machines of other builds run.
        OtherBuild = "other_build",
        Full = "full",
        NotConnected = "not_connected",
        TimedOut = "timed_out",
        /// A machine could not start the worker.
        Refused = "refused",
    }

    /// The direction of messages of NATS, as the circle sees it.
    NatsDirection {
        In = "in",
        Out = "out",
    }
}

/// The series of workers on other machines. A circle without them does not have the series.
pub(super) struct MachineSeries {
    machines: Gauges<WorkerMachineState>,
    places: Gauge,
    used_places: Gauge,
    placed_workers: Gauge,
    waiting: Gauge,
    placements: Counters<PlacementOutcome>,
    lost_machines: Counter,
    connected: Gauge,
    reconnects: Counter,
    resent: Counter,
    lost: Counter,
    malformed: Counter,
    messages: Counters<NatsDirection>,
    bytes: Counters<NatsDirection>,
}

impl MachineSeries {
    /// Registers the series in the current recorder.
    pub(super) fn register() -> Self {
        let gauge = |name: &'static str, help: &'static str| {
            describe_gauge!(name, help);
            gauge!(name)
        };
        let counter = |name: &'static str, help: &'static str| {
            describe_counter!(name, help);
            counter!(name)
        };
        Self {
            machines: Gauges::register("circles_worker_machines", "state", "Worker machines by state."),
            places: gauge("circles_worker_places", "Places of all worker machines of the circle's build."),
            used_places: gauge(
                "circles_worker_places_used",
                "Workers on these machines, of all circles and servers that use them.",
            ),
            placed_workers: gauge("circles_placed_workers", "Workers of this circle's server on other machines."),
            waiting: gauge("circles_waiting_placements", "Workers that wait for a machine."),
            placements: Counters::register(
                "circles_placements_total",
                "outcome",
                "Requests of workers on other machines, by outcome.",
            ),
            lost_machines: counter(
                "circles_worker_machines_lost_total",
                "Machines with workers of this server that were out of reach for too long.",
            ),
            connected: gauge("circles_nats_connected", "1 if the circle is connected to NATS, 0 if not."),
            reconnects: counter("circles_nats_reconnects_total", "Connections to NATS after the first one."),
            resent: counter(
                "circles_nats_resent_total",
                "Messages that the circle sent again, because an acknowledgement was missing.",
            ),
            lost: counter(
                "circles_nats_lost_messages_total",
                "Messages from NATS that were lost because the circle did not read them in time.",
            ),
            malformed: counter("circles_nats_malformed_total", "Messages from NATS that were malformed."),
            messages: Counters::register(
                "circles_nats_messages_total",
                "direction",
                "Messages between the circle and NATS by direction.",
            ),
            bytes: Counters::register(
                "circles_nats_bytes_total",
                "direction",
                "Bytes of these messages by direction, without those of the protocol of NATS.",
            ),
        }
    }

    /// Sets the series to what the hub has seen. `build` is that of the circle.
    pub(super) fn set(&self, status: &HubStatus, build: &SubjectName) {
        for state in WorkerMachineState::ALL.iter().copied() {
            let count = status.machines.iter().filter(|machine| state_of(machine, build) == state).count();
            self.machines.set(state, count as u64);
        }
        let own = || status.machines.iter().filter(|machine| machine.build == *build);
        set(&self.places, own().map(|machine| u64::from(machine.places)).sum());
        set(&self.used_places, own().map(|machine| u64::from(machine.used)).sum());
        set(&self.placed_workers, status.workers as u64);
        set(&self.waiting, status.waiting as u64);
        let failures = &status.failures;
        for (outcome, count) in [
            (PlacementOutcome::Placed, status.placed),
            (PlacementOutcome::NoMachine, failures.no_machine),
            (PlacementOutcome::OtherBuild, failures.other_builds),
            (PlacementOutcome::Full, failures.full),
            (PlacementOutcome::NotConnected, failures.not_connected),
            (PlacementOutcome::TimedOut, failures.timed_out),
            (PlacementOutcome::Refused, failures.refused),
        ] {
            self.placements.set(outcome, count);
        }
        self.lost_machines.absolute(status.given_up);
        set(&self.connected, status.is_connected.into());
        self.reconnects.absolute(status.reconnects());
        self.resent.absolute(status.resent);
        self.lost.absolute(status.lost);
        self.malformed.absolute(status.malformed);
        let traffic = &status.traffic;
        self.messages.set(NatsDirection::In, traffic.messages_in);
        self.messages.set(NatsDirection::Out, traffic.messages_out);
        self.bytes.set(NatsDirection::In, traffic.bytes_in);
        self.bytes.set(NatsDirection::Out, traffic.bytes_out);
    }
}

/// The state of a machine for a circle of a build.
fn state_of(machine: &MachineInfo, build: &SubjectName) -> WorkerMachineState {
    if machine.build != *build {
        WorkerMachineState::OtherBuild
    } else if machine.is_duplicate {
        WorkerMachineState::Duplicate
    } else if machine.is_draining {
        WorkerMachineState::Draining
    } else if !machine.has_room {
        WorkerMachineState::Full
    } else {
        WorkerMachineState::Ready
    }
}

/// Renders the times of placements in Prometheus' text format. The hub has counted them already, and the recorder accepts
/// only single values.
pub(super) fn render_delays(delays: &PlacementDelays) -> String {
    let mut text = format!(
        "# HELP {PLACEMENT_SECONDS} Time from the request of a worker on another machine to the worker in seconds.\n\
         # TYPE {PLACEMENT_SECONDS} histogram\n"
    );
    let mut line = |suffix: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{PLACEMENT_SECONDS}_{suffix} {value}").expect("a string takes it");
    };
    for (bound, count) in delays.buckets() {
        line(&format!("bucket{{le=\"{}\"}}", bound.as_secs_f64()), &count);
    }
    line("bucket{le=\"+Inf\"}", &delays.count());
    line("sum", &delays.sum().as_secs_f64());
    line("count", &delays.count());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> SubjectName {
        SubjectName::new(name).expect("valid")
    }

    #[test]
    fn machine_has_one_state() {
        let machine = MachineInfo {
            name: name("m1"),
            version: "0.1.0".into(),
            build: name("b1"),
            places: 2,
            used: 1,
            is_draining: false,
            has_room: true,
            is_duplicate: false,
        };
        let full = MachineInfo { used: 2, has_room: false, ..machine.clone() };
        let draining = MachineInfo { is_draining: true, ..full.clone() };
        let duplicate = MachineInfo { is_duplicate: true, ..draining.clone() };
        let states = [&machine, &full, &draining, &duplicate].map(|machine| state_of(machine, &name("b1")));
        assert_eq!(
            states,
            [
                WorkerMachineState::Ready,
                WorkerMachineState::Full,
                WorkerMachineState::Draining,
                WorkerMachineState::Duplicate
            ]
        );
        assert_eq!(state_of(&duplicate, &name("b2")), WorkerMachineState::OtherBuild);
    }

    #[test]
    fn labels_match_their_indices() {
        fn check<L: MetricLabel>() {
            assert!(L::ALL.iter().enumerate().all(|(index, label)| label.index() == index));
        }
        check::<WorkerMachineState>();
        check::<PlacementOutcome>();
        check::<NatsDirection>();
    }

    #[test]
    fn histogram_without_placements_has_all_buckets() {
        let text = render_delays(&PlacementDelays::default());
        for line in [
            "# TYPE circles_placement_seconds histogram",
            "circles_placement_seconds_bucket{le=\"0.0005\"} 0",
            "circles_placement_seconds_bucket{le=\"30\"} 0",
            "circles_placement_seconds_bucket{le=\"+Inf\"} 0",
            "circles_placement_seconds_sum 0",
            "circles_placement_seconds_count 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
    }
}
