//! Hubs on several threads of sessions.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::{runtime::Builder, sync::oneshot, time::sleep};
use worker_nats::server::{Hub, RemoteLoss};

use super::{
    NatsServer, POLL_INTERVAL, RunningMachine, connect_hub, echo, machine_options, patient_timings, place, timings,
};
use crate::{connect_with, settings, within};

/// Waits until the hub has this number of workers, on all threads together.
async fn workers(hub: &Hub, count: usize) {
    let reached = async {
        while hub.status().workers != count {
            sleep(POLL_INTERVAL).await;
        }
    };
    within("the number of workers", reached).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thread_of_sessions_has_its_own_task() {
    let Some(server) = NatsServer::start("threads", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, first) = place(&hub, &echo()).await;
    let (sender, placed) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let thread = std::thread::spawn({
        let hub = hub.clone();
        move || {
            Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
                let (_, handle) = place(&hub, &echo()).await;
                handle.assert_echo().await;
                assert!(sender.send(handle).is_ok());
                ended.await.expect("the test ends the thread");
            });
        }
    });
    let second = within("the worker of the thread", placed).await.expect("a worker");
    // Handles may be used on any thread.
    first.assert_echo().await;
    second.assert_echo().await;
    workers(&hub, 2).await;
    // A thread ends its own workers.
    end.send(()).expect("the thread runs");
    tokio::task::spawn_blocking(|| thread.join()).await.expect("joined").expect("the thread does not panic");
    workers(&hub, 1).await;
    first.assert_echo().await;
    within("the end of the worker", machine.fakes.wait(|counts| counts.running == 1)).await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_hub_ends_the_workers_of_all_threads() {
    let Some(server) = NatsServer::start("threads_of_dropped_hub", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, first) = place(&hub, &echo()).await;
    let (sender, placed) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let weak = Arc::downgrade(&hub);
    let thread = std::thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
            let hub = weak.upgrade().expect("the hub lives");
            let (_, handle) = place(&hub, &echo()).await;
            drop(hub);
            assert!(sender.send(handle).is_ok());
            ended.await.expect("the test ends the thread");
        });
    });
    let second = within("the worker of the thread", placed).await.expect("a worker");
    drop(hub);
    assert_eq!(first.loss().await, RemoteLoss::Unreachable);
    assert_eq!(second.loss().await, RemoteLoss::Unreachable);
    machine.idle().await;
    end.send(()).expect("the thread runs");
    tokio::task::spawn_blocking(|| thread.join()).await.expect("joined").expect("the thread does not panic");
}

/// What the machine has sent meanwhile shows that it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thread_without_processor_time_loses_no_worker() {
    let Some(server) = NatsServer::start("late_thread", "") else { return };
    let _machine = RunningMachine::start(machine_options(&server.url(), "m1", patient_timings()));
    let url = server.url();
    let thread = std::thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
            let hub = connect_hub(&url, timings()).await;
            let (_, handle) = place(&hub, &echo()).await;
            for _ in 0..3 {
                handle.assert_echo().await;
                // Nothing else runs in this thread.
                std::thread::sleep(timings().association.silence + POLL_INTERVAL);
            }
            handle.assert_echo().await;
            assert_eq!((hub.status().given_up, handle.has_loss()), (0, false));
        });
    });
    tokio::task::spawn_blocking(|| thread.join()).await.expect("joined").expect("the thread does not panic");
}

/// All machines of a circle publish to subjects of one subscription, which one machine may fill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_messages_make_no_machine_silent() {
    const FLOOD: usize = 20_000;

    let Some(server) = NatsServer::start("lost_messages", "") else { return };
    let _machine = RunningMachine::start(machine_options(&server.url(), "m1", patient_timings()));
    let attacker = connect_with(settings(&server.url())).await.expect("connected");
    let client = attacker.client();
    let mut observed = client.subscribe("circles.team.server.*.link").await.expect("subscribed");
    client.flush().await.expect("flushed");
    let (late, mut on_late) = tokio::sync::mpsc::unbounded_channel();
    let url = server.url();
    let thread = std::thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
            let hub = connect_hub(&url, timings()).await;
            let (_, handle) = place(&hub, &echo()).await;
            for _ in 0..3 {
                handle.assert_echo().await;
                late.send(()).expect("the test waits");
                std::thread::sleep(timings().association.silence + POLL_INTERVAL);
            }
            handle.assert_echo().await;
            let status = hub.status();
            assert_eq!((status.given_up, handle.has_loss()), (0, false));
            assert!(status.lost > 0 && status.malformed > 0, "{status:?}");
        });
    });
    let message = within("a heartbeat", observed.next()).await.expect("a message");
    let flooded = message.subject.replace(".link", ".x");
    while on_late.recv().await.is_some() {
        for _ in 0..FLOOD {
            client.publish(flooded.clone(), "0123456789abcdef".into()).await.expect("published");
        }
        client.flush().await.expect("flushed");
    }
    tokio::task::spawn_blocking(|| thread.join()).await.expect("joined").expect("the thread does not panic");
}
