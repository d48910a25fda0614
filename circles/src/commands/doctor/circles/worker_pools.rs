//! Checks of the connection to NATS of circles with a worker pool, and of their worker machines.

use std::{sync::Arc, time::Duration};

use frontend::worker_pool::{self, PoolProblem};
use launcher::{CircleConfig, WorkerPoolState, WorkerPoolStatus};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
use worker_nats::{
    Timings,
    config::NatsConfig,
    connection::ConnectError,
    server::{self, HubError, HubOptions},
    subjects::SubjectName,
    workers::build_name,
};

use super::{CONFIG_EXIT_CODE, Finding, MAX_CONCURRENT_PROBES, NOT_UP_EXIT_CODE, Section, Severity};
use crate::commands::{
    nats::{self, PROGRAM},
    serve::worker_pool::examined_status,
};

/// Time to listen to the machines, which publish their state each second.
const LISTEN_TIME: Duration = Duration::from_millis(1_200);

/// Longest time of the whole check of one circle: connect, check the permissions, listen.
const EXAMINATION_TIMEOUT: Duration = Duration::from_secs(6);

/// Largest number of machines that a finding names.
const MAX_NAMED_MACHINES: usize = 10;

/// Checks the pools of circles, each with whether the circle is up. The findings are in the order of the circles.
pub(super) async fn examine<'a>(circles: impl Iterator<Item = (&'a CircleConfig, bool)>) -> Vec<Finding> {
    let (mut checks, permits) = (JoinSet::new(), Arc::new(Semaphore::new(MAX_CONCURRENT_PROBES)));
    for (index, (circle, is_up)) in circles.enumerate() {
        let Some(settings) = &circle.worker_pool else { continue };
        let (name, permits) = (circle.name.clone(), permits.clone());
        match NatsConfig::new(settings).and_then(|config| config.check_files().map(|()| config)) {
            Ok(config) => {
                checks.spawn(async move {
                    let _permit = permits.acquire_owned().await;
                    (index, examine_pool(&name, config, is_up).await)
                });
            }
            // The check of the configuration reports the error for a circle that is down.
            Err(error) => {
                let error = HubError::Connect(ConnectError::Config(error));
                let finding = is_up.then(|| error_finding(&name, &error));
                checks.spawn(async move { (index, finding.into_iter().collect()) });
            }
        }
    }
    let mut findings = checks.join_all().await;
    findings.sort_by_key(|(index, _)| *index);
    findings.into_iter().flat_map(|(_, findings)| findings).collect()
}

async fn examine_pool(name: &str, config: NatsConfig, is_up: bool) -> Vec<Finding> {
    let servers = config.servers();
    let Ok(circle) = SubjectName::new(name) else { return Vec::new() };
    let options =
        HubOptions { config, circle, identity: String::new(), build: build_name(PROGRAM), timings: Timings::default() };
    let examined = timeout(EXAMINATION_TIMEOUT, server::examine(&options, LISTEN_TIME)).await;
    match examined.unwrap_or_else(|_| Err(HubError::Connect(ConnectError::TimedOut { servers: servers.clone() }))) {
        Ok(machines) => pool_findings(name, &servers, &examined_status(machines), is_up),
        Err(error) => vec![error_finding(name, &error)],
    }
}

fn error_finding(name: &str, error: &HubError) -> Finding {
    let exit_code = match error {
        HubError::Connect(ConnectError::Config(_)) => CONFIG_EXIT_CODE,
        error => nats::hub_error(error).exit_code(),
    };
    let (what, fix) = match error {
        HubError::Permission(_) => (
            "lacks a permission in NATS",
            "give the circle's user the permissions that docs/operating.md lists; contrib/nats/nats.conf has them",
        ),
        HubError::Connect(ConnectError::Config(_)) => {
            ("cannot use NATS", "fix worker_pool in circles.json, or the file")
        }
        HubError::Connect(ConnectError::Refused { .. }) => (
            "cannot use NATS",
            "check the credentials in worker_pool, and the user in the configuration of nats-server",
        ),
        HubError::Connect(ConnectError::Tls { .. }) => {
            ("cannot use NATS", "check \"ca\", \"cert\" and \"key\" in worker_pool")
        }
        HubError::Connect(ConnectError::SmallPayload { .. } | ConnectError::Rejected { .. }) => {
            ("cannot use NATS", "change the configuration of nats-server")
        }
        _ => ("cannot connect to NATS", "start nats-server there, or change \"nats\" in worker_pool"),
    };
    Section::Circles.finding(Severity::Error(exit_code), format!("{name} {what}"), error.to_string(), fix)
}

/// Findings about a pool whose connection works.
fn pool_findings(name: &str, servers: &str, pool: &WorkerPoolStatus, is_up: bool) -> Vec<Finding> {
    let named = pool.list.iter().take(MAX_NAMED_MACHINES);
    let mut machines: Vec<String> =
        named.map(|machine| format!("{} ({})", machine.name, worker_pool::machine(machine, &pool.build))).collect();
    let more = pool.list.len().saturating_sub(machines.len());
    machines.extend((more > 0).then(|| format!("{more} more")));
    let list = if machines.is_empty() { String::new() } else { format!(": {}", machines.join("; ")) };
    let what = format!("{name} connects to NATS at {servers}; {}{list}", worker_pool::summary(pool));
    let mut findings = vec![Section::Circles.ok(what)];
    findings.extend(PoolProblem::find(pool).into_iter().map(|problem| {
        // A circle that is down needs no machine.
        let is_error = problem.is_failure && is_up;
        let severity = if is_error { Severity::Error(NOT_UP_EXIT_CODE) } else { Severity::Warning };
        Section::Circles.finding(severity, format!("{name}: {}", problem.what), "", problem.fix)
    }));
    findings
}

/// Findings about names that are used twice. The running circle notices them; the examination is too short for that.
pub(super) fn name_findings(name: &str, pool: &WorkerPoolStatus) -> Vec<Finding> {
    let is_conflict = pool.state == WorkerPoolState::Conflict;
    let state = if is_conflict { WorkerPoolState::Conflict } else { WorkerPoolState::Ok };
    let problems = PoolProblem::find(&WorkerPoolStatus { state, other_builds: 0, ..pool.clone() });
    let severity = Severity::Error(NOT_UP_EXIT_CODE);
    let finding =
        |problem: PoolProblem| Section::Circles.finding(severity, format!("{name}: {}", problem.what), "", problem.fix);
    problems.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use launcher::WorkerMachineStatus;
    use worker_nats::connection::PermissionError;

    use super::*;

    #[test]
    fn missing_machine_is_an_error_of_a_circle_that_is_up() {
        let pool = WorkerPoolStatus { state: WorkerPoolState::NoMachine, ..WorkerPoolStatus::default() };
        for (is_up, severity) in [(true, Severity::Error(NOT_UP_EXIT_CODE)), (false, Severity::Warning)] {
            let findings = pool_findings("team", "tls://n1", &pool, is_up);
            let [ok, problem] = &findings[..] else { panic!("{findings:?}") };
            assert_eq!(ok.as_json()["what"], "team connects to NATS at tls://n1; no machine");
            assert_eq!((ok.level, problem.level), (Severity::Ok, severity));
            assert_eq!(problem.as_json()["what"], "team: no worker machine");
            assert_eq!(problem.as_json()["fix"], "start one: circles worker --nats URL");
        }
    }

    #[test]
    fn finding_names_few_machines() {
        let machine = |number: usize| WorkerMachineStatus {
            name: format!("m{number}"),
            build: "b".into(),
            places: 2,
            ..WorkerMachineStatus::default()
        };
        let list: Vec<_> = (0..12).map(machine).collect();
        let pool =
            WorkerPoolStatus { machines: 12, places: 24, build: "b".into(), list, ..WorkerPoolStatus::default() };
        let [ok] = &pool_findings("team", "n1", &pool, true)[..] else { panic!("one finding") };
        let what = ok.as_json()["what"].to_string();
        assert!(what.contains("; 12 machines, 0 of 24 places used: m0 (0 of 2 places used); m1 ("), "{what}");
        assert!(what.contains("; 2 more"), "{what}");
    }

    #[test]
    fn each_error_has_a_cause_and_a_fix() {
        let violation = "Permissions Violation for Publish to \"circles.team.place.b1\"".to_owned();
        let servers = || "n1".to_owned();
        for (error, exit_code, cause) in [
            (HubError::Permission(PermissionError::Denied { violation }), 4, "circles.team.place.b1"),
            (HubError::Connect(ConnectError::TimedOut { servers: servers() }), 3, "n1: no answer in time"),
            (HubError::Connect(ConnectError::SmallPayload { servers: servers(), max_payload: 9 }), 2, "up to 9 bytes"),
        ] {
            let finding = error_finding("team", &error);
            assert_eq!(finding.level, Severity::Error(exit_code));
            let json = finding.as_json();
            assert!(json["why"].as_str().is_some_and(|why| why.contains(cause)), "{json}");
            assert!(json["fix"].is_string(), "{json}");
        }
    }

    #[test]
    fn names_that_are_used_twice_are_errors() {
        let conflict = Some("the circle team with the key k2 uses this NATS: rename one".to_owned());
        let twin = WorkerMachineStatus { name: "m1".into(), is_duplicate: true, ..WorkerMachineStatus::default() };
        let pool = WorkerPoolStatus { state: WorkerPoolState::Conflict, conflict, list: vec![twin], ..<_>::default() };
        let findings = name_findings("team", &pool);
        let whats: Vec<_> = findings.iter().map(|finding| finding.as_json()["what"].clone()).collect();
        assert_eq!(
            whats,
            [
                "team: the circle team with the key k2 uses this NATS",
                "team: several worker machines have the same name: m1"
            ]
        );
        assert!(findings.iter().all(|finding| finding.level == Severity::Error(NOT_UP_EXIT_CODE)));
        let full = WorkerPoolStatus { state: WorkerPoolState::Full, other_builds: 2, ..WorkerPoolStatus::default() };
        assert!(name_findings("team", &full).is_empty());
    }
}
