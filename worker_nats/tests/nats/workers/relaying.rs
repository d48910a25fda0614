//! Bytes between handles and workers.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::join;
use worker_nats::{link::WINDOW, server::RemoteLoss, wire::Channel};

use super::{
    NatsServer, RunningMachine, connect_hub, echo,
    fake_end::CAPACITY,
    fake_worker::{PIPE, flood_byte},
    place, setup, timings,
};

#[tokio::test]
async fn ten_megabytes_pass_both_ways_in_order() {
    let Some(server) = NatsServer::start("ten_megabytes", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let _machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, handle) = place(&hub, &echo()).await;
    let bytes: Vec<_> = (0..10_000_000).map(flood_byte).collect();
    let ((), read) = join!(handle.write(Channel::Work, &bytes), handle.read(Channel::Work, bytes.len()));
    assert!(read == bytes);
}

#[tokio::test]
async fn reader_that_does_not_read_stops_its_own_worker_alone() {
    let Some(server) = NatsServer::start("slow_reader", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, slow) = place(&hub, &setup(&[Bytes::from_static(b"flood")])).await;
    let (_, other) = place(&hub, &echo()).await;
    let bytes: Vec<_> = (0..1_000_000).map(flood_byte).collect();
    let ((), read) = join!(other.write(Channel::Work, &bytes), other.read(Channel::Work, bytes.len()));
    assert!(read == bytes);
    // The pipe, what waits at the machine and at the hub, the queue of the handle, and one write.
    let limit = PIPE + 2 * WINDOW.work + CAPACITY + 1_000;
    let flooded = machine.fakes.flooded.load(Ordering::Relaxed);
    assert!(flooded <= limit as u64, "{flooded} bytes of at most {limit}");
    // The flood goes on when somebody reads.
    let read = slow.read(Channel::Work, 10_000_000).await;
    assert!(read.iter().enumerate().all(|(position, byte)| *byte == flood_byte(position)));
    drop(slow);
    other.assert_echo().await;
}

#[tokio::test]
async fn output_of_a_crashed_worker_arrives_before_its_end() {
    let Some(server) = NatsServer::start("crashed", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let _machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, handle) = place(&hub, &echo()).await;
    handle.write(Channel::Work, b"last words, then a crash").await;
    assert_eq!(handle.loss().await, RemoteLoss::Stated(worker_nats::wire::Loss::Crashed));
    assert_eq!(handle.read(Channel::Work, 24).await, b"last words, then a crash");
    handle.ended(Channel::Work).await;
    // Bytes for a worker that has ended go nowhere.
    handle.write(Channel::Work, &vec![1; 1_000_000]).await;
}
