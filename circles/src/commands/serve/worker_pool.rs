//! The workers of a circle on other machines, by NATS.

use frontend::error::CliError;
use keys::KeyPair;
use launcher::{MAX_REPORTED_MACHINES, PoolError, WorkerMachineStatus, WorkerPoolState, WorkerPoolStatus};
use server_ws::RemoteWorkers;
use worker_nats::{
    LinkId, Timings,
    server::{Hub, HubOptions, HubStatus, MachineInfo},
    subjects::SubjectName,
    workers::build_name,
};

use crate::{
    cli::ServeArgs,
    commands::nats::{self, PROGRAM},
};

/// Connects to NATS, if the arguments say so. A circle that reaches no NATS server starts nevertheless, and tries again.
pub(super) async fn connect(args: &ServeArgs, identity: Option<&KeyPair>) -> Result<Option<RemoteWorkers>, CliError> {
    let Some(settings) = args.nats_settings() else { return Ok(None) };
    let options = HubOptions {
        config: nats::config(&settings)?,
        circle: SubjectName::new(&args.name).map_err(|error| CliError::usage(error.to_string(), "", ""))?,
        identity: identity.map_or_else(temporary_identity, |keypair| Ok(keypair.public_key().to_hex()))?,
        build: build_name(PROGRAM),
        timings: Timings::default(),
    };
    let hub = Hub::connect(options).await.map_err(|error| nats::hub_error(&error))?;
    Ok(Some(RemoteWorkers::new(hub)))
}

/// Returns an identity for a circle that has none of its own. No other circle has the same.
fn temporary_identity() -> Result<String, CliError> {
    let id = LinkId::generate().map_err(|error| CliError::usage("cannot start the circle", error.to_string(), ""))?;
    Ok(format!("temporary {}", hex::encode(id.to_bytes())))
}

/// Converts what the hub has seen, for the supervisor.
pub(super) fn to_status(status: &HubStatus) -> WorkerPoolStatus {
    status_of(status, &build_name(PROGRAM))
}

/// Makes the status of a circle that is connected to NATS and sees these machines.
pub(crate) fn examined_status(machines: Vec<MachineInfo>) -> WorkerPoolStatus {
    let mut status = HubStatus::default();
    (status.is_connected, status.machines) = (true, machines);
    to_status(&status)
}

fn status_of(status: &HubStatus, build: &SubjectName) -> WorkerPoolStatus {
    let own = || status.machines.iter().filter(|machine| machine.build == *build);
    let machines = own().count();
    let has_room = own().any(|machine| machine.has_room);
    let state = if status.conflict.is_some() {
        WorkerPoolState::Conflict
    } else if status.is_refused {
        WorkerPoolState::Refused
    } else if !status.is_connected {
        WorkerPoolState::Disconnected
    } else if status.error.is_some() {
        WorkerPoolState::Denied
    } else if has_room {
        WorkerPoolState::Ok
    } else if machines > 0 {
        WorkerPoolState::Full
    } else if status.machines.is_empty() {
        WorkerPoolState::NoMachine
    } else {
        WorkerPoolState::OtherBuild
    };
    let median = status.delays.recent_median();
    WorkerPoolStatus {
        state,
        machines: machines as u64,
        other_builds: (status.machines.len() - machines) as u64,
        places: own().map(|machine| u64::from(machine.places)).sum(),
        used: own().map(|machine| u64::from(machine.used)).sum(),
        workers: status.workers as u64,
        waiting: status.waiting as u64,
        placements: status.placed,
        failed_placements: status.failed,
        placement_p50_us: median.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        lost_machines: status.given_up,
        reconnects: status.reconnects(),
        resent: status.resent,
        lost: status.lost,
        malformed: status.malformed,
        build: build.to_string(),
        error: status.error.clone(),
        last_error: status.last_error.as_ref().map(|error| PoolError {
            text: error.text.clone(),
            at: humantime::format_rfc3339_seconds(error.at).to_string(),
        }),
        conflict: status.conflict.clone(),
        list: status.machines.iter().take(MAX_REPORTED_MACHINES).map(to_machine_status).collect(),
    }
}

/// Converts the state of a machine.
fn to_machine_status(machine: &MachineInfo) -> WorkerMachineStatus {
    WorkerMachineStatus {
        name: machine.name.to_string(),
        version: machine.version.clone(),
        build: machine.build.to_string(),
        places: machine.places.into(),
        used: machine.used.into(),
        is_draining: machine.is_draining,
        is_duplicate: machine.is_duplicate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> SubjectName {
        SubjectName::new(name).expect("valid")
    }

    fn machine(name_of: &str, build: &str, used: u32) -> MachineInfo {
        MachineInfo {
            name: name(name_of),
            version: "0.1.0".into(),
            build: name(build),
            places: 4,
            used,
            is_draining: false,
            has_room: used < 4,
            is_duplicate: false,
        }
    }

    #[test]
    fn state_names_what_keeps_the_circle_from_workers() {
        let state = |change: &dyn Fn(&mut HubStatus)| {
            let mut status = HubStatus::default();
            status.is_connected = true;
            change(&mut status);
            status_of(&status, &name("b1")).state
        };
        assert_eq!(state(&|status| status.is_connected = false), WorkerPoolState::Disconnected);
        assert_eq!(state(&|_| {}), WorkerPoolState::NoMachine);
        assert_eq!(state(&|status| status.machines = vec![machine("m1", "b2", 0)]), WorkerPoolState::OtherBuild);
        let two = |used| vec![machine("m1", "b1", used), machine("m2", "b2", 0)];
        assert_eq!(state(&|status| status.machines = two(3)), WorkerPoolState::Ok);
        assert_eq!(state(&|status| status.machines = two(4)), WorkerPoolState::Full);
        assert_eq!(
            state(&|status| {
                status.machines = two(3);
                (status.machines[0].is_draining, status.machines[0].has_room) = (true, false);
            }),
            WorkerPoolState::Full
        );
        assert_eq!(state(&|status| status.error = Some("denied".into())), WorkerPoolState::Denied);
        assert_eq!(state(&|status| (status.is_connected, status.is_refused) = (false, true)), WorkerPoolState::Refused);
        assert_eq!(state(&|status| status.conflict = Some("other".into())), WorkerPoolState::Conflict);
    }

    #[test]
    fn counts_are_of_the_machines_of_the_build() {
        let mut status = HubStatus::default();
        status.machines = (0..1_000).map(|number| machine(&format!("m{number}"), "b1", 1)).collect();
        status.machines.push(machine("old", "b2", 2));
        let converted = status_of(&status, &name("b1"));
        assert_eq!((converted.machines, converted.other_builds), (1_000, 1));
        assert_eq!((converted.places, converted.used, converted.list.len()), (4_000, 1_000, MAX_REPORTED_MACHINES));
        assert_eq!((converted.placement_p50_us, converted.build.as_str()), (None, "b1"));
    }
}
