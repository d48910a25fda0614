//! What a hub sees, for operators.

use std::{sync::Arc, time::Duration};

use worker_nats::{
    Timings,
    config::{NatsConfig, NatsSettings},
    connection::PermissionError,
    machine::{Circles, MachineError, MachineOptions, run},
    server::{Hub, HubError, HubOptions, HubStatus, examine},
};

use super::{
    NatsServer, POLL_INTERVAL, RunningMachine, connect_hub, echo, fake_worker::FakeStarter, hub_options,
    machine_options, millis, place, timings, try_place,
};
use crate::{permissions, server::write_private, settings, within};

/// Times with frequent announcements of servers.
fn announcing() -> Timings {
    Timings { announcement: millis(100), ..timings() }
}

async fn wait_for(hub: &Hub, what: &str, is_met: impl Fn(&HubStatus) -> bool) -> HubStatus {
    within(what, async {
        loop {
            let status = hub.status();
            if is_met(&status) {
                return status;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await
}

#[tokio::test]
async fn machine_of_all_circles_is_seen_before_its_first_worker() {
    let Some(server) = NatsServer::start("seen_machine", "") else { return };
    let hub = connect_hub(&server.url(), announcing()).await;
    let options = machine_options(&server.url(), "m1", timings());
    let _machine = RunningMachine::start(MachineOptions { circles: Circles::All, ..options });
    let status = wait_for(&hub, "the machine", |status| !status.machines.is_empty()).await;
    assert_eq!((status.machines[0].name.as_str(), status.placed, status.malformed), ("m1", 0, 0));
}

#[tokio::test]
async fn machines_of_one_name_are_duplicates() {
    let Some(server) = NatsServer::start("duplicates", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let _machines = [(); 2].map(|()| RunningMachine::with_name(&server.url(), "m1"));
    wait_for(&hub, "the duplicate", |status| status.machines.iter().any(|machine| machine.is_duplicate)).await;
}

#[tokio::test]
async fn conflict_ends_with_the_other_circle() {
    let Some(server) = NatsServer::start("end_of_conflict", "") else { return };
    let hub = connect_hub(&server.url(), announcing()).await;
    let other = HubOptions { identity: "key-2".into(), ..hub_options(&server.url(), announcing()) };
    assert!(matches!(Hub::connect(other).await, Err(HubError::NameTaken { .. })));
    wait_for(&hub, "the conflict", |status| status.conflict.is_some()).await;
    wait_for(&hub, "its end", |status| status.conflict.is_none()).await;
}

#[tokio::test]
async fn placements_and_connections_are_counted() {
    let Some(mut server) = NatsServer::start("counts", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    assert!(try_place(&hub, &echo()).await.is_err());
    let _machine = RunningMachine::with_name(&server.url(), "m1");
    let (placed, handle) = place(&hub, &echo()).await;
    handle.assert_echo().await;
    let status = wait_for(&hub, "the count", |status| status.placed == 1).await;
    assert_eq!((status.delays.count(), status.delays.sum()), (1, placed.delay));
    assert_eq!(status.delays.recent_median(), Some(placed.delay));
    assert!(status.failures.no_machine > 0 && status.failed >= status.failures.no_machine, "{status:?}");
    assert!(status.traffic.messages_in > 0 && status.traffic.bytes_out > 0, "{status:?}");
    assert_eq!((status.reconnects(), status.last_error), (0, None));
    server.kill();
    let status = wait_for(&hub, "the loss", |status| !status.is_connected && status.error.is_some()).await;
    server.launch("");
    let again = wait_for(&hub, "the connection", |status| status.is_connected).await;
    assert!(again.error.is_none() && again.reconnects() > 0, "{again:?}");
    assert!(again.last_error.is_some_and(|error| error.at >= status.last_error.expect("an error").at));
    handle.assert_echo().await;
}

#[tokio::test]
async fn examination_lists_machines_and_announces_no_server() {
    let Some(server) = NatsServer::start("examination", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let _machine = RunningMachine::with_name(&server.url(), "m1");
    wait_for(&hub, "the machine", |status| !status.machines.is_empty()).await;
    let other = HubOptions { identity: "key-2".into(), ..hub_options(&server.url(), timings()) };
    let machines = within("the examination", examine(&other, Duration::from_secs(1))).await.expect("machines");
    assert_eq!(machines.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>(), ["m1"]);
    let status = hub.status();
    assert_eq!((status.conflict, status.malformed), (None, 0));
}

#[tokio::test]
async fn missing_permission_for_placements_is_named_at_the_start() {
    let config = permissions::config().replace("circles.team.place.*", "circles.team.other.*");
    let Some(server) = NatsServer::start("placements_denied", &config) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let config = |user: &str| {
        let password_file = Some(write_private(&directory.path().join("password"), "hunter2"));
        NatsConfig::new(&NatsSettings { user: Some(user.into()), password_file, ..settings(&server.url()) })
            .expect("valid settings")
    };
    let options = HubOptions { config: config("server"), ..hub_options(&server.url(), timings()) };
    let denied = |error| match error {
        PermissionError::Denied { violation } => violation,
        error => panic!("{error}"),
    };
    let Err(HubError::Permission(error)) = Hub::connect(options.clone()).await else { panic!("permitted") };
    assert!(denied(error).contains("circles.team.place.build-1"));
    let Err(HubError::Permission(error)) = examine(&options, Duration::ZERO).await else { panic!("permitted") };
    assert!(denied(error).contains("circles.team.place.build-1"));
    let options = MachineOptions { config: config("m1"), ..machine_options(&server.url(), "m1", timings()) };
    let starter = FakeStarter(Arc::default());
    let Err(MachineError::Permission(error)) = run(options, starter, std::future::pending()).await else {
        panic!("permitted")
    };
    assert!(denied(error).contains("circles.team.place.build-1"));
}
