//! Machines that shut down.

use worker_nats::{
    Timings,
    server::{PlaceError, RemoteLoss},
    wire::Loss,
};

use super::{
    NatsServer, POLL_INTERVAL, RunningMachine, connect_hub, echo, machine_options, millis, place, timings, try_place,
};
use crate::{WAIT_TIMEOUT, within};

#[tokio::test]
async fn machine_that_drains_ends_with_its_last_worker() {
    let Some(server) = NatsServer::start("drain", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let mut machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, handle) = place(&hub, &echo()).await;
    machine.drain();
    handle.leaving().await;
    assert_eq!(try_place(&hub, &echo()).await.err(), Some(PlaceError::Full));
    let _second = RunningMachine::with_name(&server.url(), "m2");
    let (placed, _next) = place(&hub, &echo()).await;
    assert_eq!(placed.machine.as_str(), "m2");
    // The worker goes on until its session has ended.
    handle.assert_echo().await;
    assert!(!machine.task.is_finished() && !handle.has_loss());
    drop(handle);
    within("the end", &mut machine.task).await.expect("no panic").expect("drained");
    // The hub forgets it with its last message.
    within("the last message", async {
        while hub.status().machines.iter().any(|machine| machine.name.as_str() == "m1") {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await;
    assert_eq!(hub.status().workers, 1);
}

#[tokio::test]
async fn idle_machine_drains_at_once() {
    let Some(server) = NatsServer::start("idle_drain", "") else { return };
    let mut machine = RunningMachine::with_name(&server.url(), "m1");
    machine.drain();
    within("the end", &mut machine.task).await.expect("no panic").expect("drained");
}

#[tokio::test]
async fn worker_that_does_not_leave_is_killed_after_the_grace_period() {
    let Some(server) = NatsServer::start("grace", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let timings = Timings { grace: millis(400), ..timings() };
    let mut machine = RunningMachine::start(machine_options(&server.url(), "m1", timings));
    let (_, handle) = place(&hub, &echo()).await;
    machine.drain();
    assert_eq!(handle.loss().await, RemoteLoss::Stated(Loss::Drained));
    within("the end", &mut machine.task).await.expect("no panic").expect("drained");
    machine.idle().await;
}

#[tokio::test]
async fn placements_while_a_machine_drains_go_to_another_one() {
    let Some(server) = NatsServer::start("drain_of_one", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    // It has a worker and refuses for longer than the hub expects, as a machine without processor time does.
    let late = Timings { refusal: WAIT_TIMEOUT, ..timings() };
    let mut machine = RunningMachine::start(machine_options(&server.url(), "m1", late));
    let (_, handle) = place(&hub, &echo()).await;
    let _second = RunningMachine::with_name(&server.url(), "m2");
    within("two machines", async {
        while hub.status().machines.iter().filter(|machine| machine.has_room).count() < 2 {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await;
    machine.drain();
    handle.leaving().await;
    for _ in 0..60 {
        let (placed, handle) = try_place(&hub, &echo()).await.expect("another machine has room");
        assert_eq!(placed.machine.as_str(), "m2");
        handle.assert_echo().await;
    }
}
