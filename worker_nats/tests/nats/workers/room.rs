//! Machines that have no room for spare workers.

use bytes::Bytes;
use worker_nats::{Timings, machine::MachineOptions, server::PlaceError};

use super::{
    NatsServer, POLL_INTERVAL, RunningMachine, connect_hub, echo, fake_worker::MEMORY, machine_options, millis, place,
    setup, timings, try_place,
};
use crate::within;

#[tokio::test]
async fn full_machine_ends_spare_workers() {
    let Some(server) = NatsServer::start("full_spares", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let options = machine_options(&server.url(), "m1", timings());
    let machine = RunningMachine::start(MachineOptions { places: 2, ..options });
    let (_, _first) = place(&hub, &echo()).await;
    assert_eq!(machine.fakes.counts().spares, [0, 0]);
    let (_, _second) = place(&hub, &echo()).await;
    within("the end of the spare workers", machine.fakes.wait(|counts| counts.spares[1] > 0)).await;
    assert_eq!(machine.fakes.counts().spares[0], 0);
}

#[tokio::test]
async fn machine_that_drains_ends_spare_workers() {
    let Some(server) = NatsServer::start("drain_spares", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let mut machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, _handle) = place(&hub, &echo()).await;
    machine.drain();
    within("the end of the spare workers", machine.fakes.wait(|counts| counts.spares == [0, 1])).await;
}

#[tokio::test]
async fn setup_without_placements_keeps_no_spare_workers() {
    let Some(server) = NatsServer::start("idle_spares", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let timings = Timings { idle_setup: millis(4_000), ..timings() };
    let machine = RunningMachine::start(machine_options(&server.url(), "m1", timings));
    let (_, handle) = place(&hub, &echo()).await;
    within("the end of the spare workers", machine.fakes.wait(|counts| counts.spares[1] > 0)).await;
    // The worker lives.
    handle.assert_echo().await;
    let (_, _next) = place(&hub, &echo()).await;
    assert_eq!((machine.fakes.counts().spares[0], machine.fakes.counts().prepared), (1, 1));
}

#[tokio::test]
async fn memory_of_a_fork_server_counts_and_is_freed() {
    let Some(server) = NatsServer::start("fork_server_memory", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let options = machine_options(&server.url(), "m1", timings());
    // The fork server alone fills the machine.
    let machine = RunningMachine::start(MachineOptions { memory: MEMORY, ..options });
    let large = setup(&[Bytes::from_static(b"large")]);
    for round in 1..=2 {
        let (_, handle) = place(&hub, &large).await;
        assert_eq!(machine.fakes.counts().prepared, round);
        within("a full machine", async {
            while try_place(&hub, &large).await.err() != Some(PlaceError::Full) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        })
        .await;
        drop(handle);
        machine.idle().await;
        // There is room again once the machine has discarded the setup.
    }
    let (_, _handle) = place(&hub, &echo()).await;
}
