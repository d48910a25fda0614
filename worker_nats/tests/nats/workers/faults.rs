//! Machines, servers and nats-servers that die, freeze and come back.

use bytes::Bytes;
use tokio::join;
use worker_nats::{
    Timings,
    association::Timeouts,
    config::{NatsConfig, NatsSettings},
    connection::ConnectionTimeouts,
    machine::MachineOptions,
    server::{Hub, HubOptions, PlaceError, Placed, RemoteLoss},
    wire::Channel,
};

use super::{
    FakeEnd, Handle, NatsServer, POLL_INTERVAL, RunningMachine, connect_hub, echo, fake_worker::flood_byte,
    hub_options, machine_options, millis, patient_timings, place, setup, timings, try_place, within,
};
use crate::{proxy::Proxy, server::write_private, settings};

/// Kills and stops of nats-server during a transfer.
const INTERRUPTIONS: usize = 3;

#[tokio::test]
async fn workers_of_a_killed_machine_are_unreachable() {
    let Some(server) = NatsServer::start("killed_machine", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let proxy = Proxy::start(&server.url());
    let machine = RunningMachine::with_name(&proxy.url(), "m1");
    let (_, handle) = place(&hub, &echo()).await;
    handle.assert_echo().await;
    // The machine says no farewell, and NATS sees the end of the connection.
    drop(machine);
    drop(proxy);
    assert_eq!(handle.loss().await, RemoteLoss::Unreachable);
    let _second = RunningMachine::with_name(&server.url(), "m2");
    let (placed, handle) = place(&hub, &echo()).await;
    assert_eq!(placed.machine.as_str(), "m2");
    handle.assert_echo().await;
}

#[tokio::test]
async fn frozen_machine_is_given_up_and_ends_its_workers() {
    let Some(server) = NatsServer::start("frozen_machine", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let proxy = Proxy::start(&server.url());
    let machine = RunningMachine::with_name(&proxy.url(), "m1");
    let (_, handle) = place(&hub, &echo()).await;
    handle.assert_echo().await;
    proxy.freeze();
    assert_eq!(handle.loss().await, RemoteLoss::Unreachable);
    assert_eq!(hub.status().given_up, 1);
    machine.idle().await;
    // It comes back as if it were new.
    proxy.thaw();
    let (_, handle) = place_slowly(&hub).await;
    handle.assert_echo().await;
}

#[tokio::test]
async fn machine_that_was_frozen_for_a_moment_loses_nothing() {
    let Some(server) = NatsServer::start("short_freeze", "") else { return };
    let hub = connect_hub(&server.url(), patient_timings()).await;
    let proxy = Proxy::start(&server.url());
    let machine = RunningMachine::start(machine_options(&proxy.url(), "m1", patient_timings()));
    let (_, handle) = place(&hub, &echo()).await;
    proxy.freeze();
    handle.write(Channel::Work, b"written before").await;
    // The session learns that the machine may be lost, each time.
    handle.silences(1).await;
    proxy.thaw();
    assert_eq!(handle.read(Channel::Work, 14).await, b"written before");
    assert!(!handle.has_loss() && machine.fakes.counts().running == 1);
}

#[tokio::test]
async fn hanging_attempt_to_reconnect_loses_no_worker() {
    let Some(server) = NatsServer::start("black_hole", "") else { return };
    let timings = Timings { connect_delay: millis(50), ..doubled_timings() };
    let hub = connect_hub(&server.url(), timings).await;
    let proxy = Proxy::start(&server.url());
    let machine = RunningMachine::start(machine_options(&proxy.url(), "m1", timings));
    let (_, handle) = place(&hub, &echo()).await;
    handle.assert_echo().await;
    let connections = proxy.connections();
    proxy.lose();
    handle.write(Channel::Work, b"written before").await;
    within("two attempts to reconnect", async {
        while proxy.connections() < connections + 2 {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await;
    // NATS sees the end of the old connection now, and the new one only after the attempt that hangs.
    proxy.thaw();
    assert_eq!(handle.read(Channel::Work, 14).await, b"written before");
    assert!(!handle.has_loss() && machine.fakes.counts().running == 1);
    assert_eq!(hub.status().given_up, 0);
}

#[tokio::test]
async fn workers_end_with_their_server() {
    let Some(server) = NatsServer::start("server_gone", "") else { return };
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let hub = connect_hub(&server.url(), timings()).await;
    let (_, handle) = place(&hub, &echo()).await;
    drop(hub);
    assert_eq!(handle.loss().await, RemoteLoss::Unreachable);
    machine.idle().await;
    // A server that is cut off says nothing.
    let proxy = Proxy::start(&server.url());
    let hub = connect_hub(&proxy.url(), timings()).await;
    let (_, handle) = place(&hub, &echo()).await;
    handle.assert_echo().await;
    proxy.freeze();
    machine.idle().await;
    assert_eq!(handle.loss().await, RemoteLoss::Unreachable);
    // Without a connection, there are no workers, and the reason is clear.
    let error = try_place(&hub, &echo()).await.err();
    assert!(matches!(error, Some(PlaceError::NotConnected(_) | PlaceError::TimedOut)), "{error:?}");
}

#[tokio::test]
async fn killed_nats_server_loses_no_byte_and_no_worker() {
    interrupt("restart", Interruption::Kill).await;
}

#[tokio::test]
async fn stopped_nats_server_loses_no_byte_and_no_worker() {
    interrupt("stop", Interruption::Stop).await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Interruption {
    /// Kill nats-server and start it again.
    Kill,
    /// Stop nats-server: the first time until the hub has lost its connection, then for a moment.
    Stop,
}

impl Interruption {
    async fn apply(self, server: &mut NatsServer, hub: &Hub, is_first: bool) {
        match self {
            Self::Kill => {
                server.kill();
                server.launch("");
            }
            Self::Stop => {
                server.signal("STOP");
                within("the end of the connection", async {
                    while is_first && hub.status().is_connected {
                        tokio::time::sleep(POLL_INTERVAL).await;
                    }
                })
                .await;
                server.signal("CONT");
            }
        }
    }
}

/// Interrupts a transfer, several times.
async fn interrupt(test: &str, interruption: Interruption) {
    let Some(mut server) = NatsServer::start(test, "") else { return };
    let hub = connect_hub(&server.url(), patient_timings()).await;
    let machine = RunningMachine::start(machine_options(&server.url(), "m1", patient_timings()));
    let (_, handle) = place(&hub, &echo()).await;
    let (_, other) = place(&hub, &echo()).await;
    let bytes: Vec<_> = (0..2_000_000).map(flood_byte).collect();
    for part in 0..INTERRUPTIONS {
        let half = bytes.len() / 2;
        let read = async {
            let mut read = handle.read(Channel::Work, half).await;
            // The other half is on its way.
            interruption.apply(&mut server, &hub, part == 0).await;
            read.extend(handle.read(Channel::Work, bytes.len() - half).await);
            read
        };
        let ((), read) = join!(handle.write(Channel::Work, &bytes), read);
        assert!(read == bytes);
        other.assert_echo().await;
    }
    assert!(!handle.has_loss());
    assert_eq!(machine.fakes.counts().running, 2);
    assert_eq!(hub.status().given_up, 0);
}

#[tokio::test]
async fn long_outage_of_nats_ends_all_workers() {
    let Some(mut server) = NatsServer::start("long_outage", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, handle) = place(&hub, &echo()).await;
    server.kill();
    assert_eq!(handle.loss().await, RemoteLoss::Unreachable);
    machine.idle().await;
    let error = try_place(&hub, &echo()).await.err();
    assert!(matches!(error, Some(PlaceError::NotConnected(_))), "{error:?}");
    server.launch("");
    let (_, handle) = place(&hub, &echo()).await;
    handle.assert_echo().await;
}

#[tokio::test]
async fn renewed_nkey_loses_no_worker() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("nkey");
    let [old, new] = [(); 2].map(|()| nkeys::KeyPair::new_user());
    let write = |pair: &nkeys::KeyPair| write_private(&path, &pair.seed().expect("a seed"));
    let users = |pair: &nkeys::KeyPair| format!("authorization {{ users = [ {{ nkey: {} }} ] }}", pair.public_key());
    let Some(server) = NatsServer::start("renewed_nkey", &users(&old)) else { return };
    let settings = NatsSettings { nkey: Some(write(&old)), ..settings(&server.url()) };
    let config = NatsConfig::new(&settings).expect("valid settings");
    let options = HubOptions { config: config.clone(), ..hub_options(&server.url(), patient_timings()) };
    let hub = Hub::connect(options).await.expect("a hub");
    let options = MachineOptions { config, ..machine_options(&server.url(), "m1", patient_timings()) };
    let machine = RunningMachine::start(options);
    let (_, handle) = place(&hub, &echo()).await;
    server.reload(&users(&new));
    within("the refusal", async {
        while !hub.status().is_refused {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await;
    write(&new);
    handle.assert_echo().await;
    let (_, handle) = place(&hub, &echo()).await;
    handle.assert_echo().await;
    assert_eq!(machine.fakes.counts().running, 2);
}

#[tokio::test]
async fn slow_start_keeps_its_placement() {
    let Some(server) = NatsServer::start("slow_start", "") else { return };
    // A placement without an answer for this time is requested again.
    let timings = Timings { placement: millis(200), ..timings() };
    let hub = connect_hub(&server.url(), timings).await;
    let machine = RunningMachine::start(machine_options(&server.url(), "m1", timings));
    let (_, _first) = place(&hub, &echo()).await;
    let setup = setup(&[Bytes::from_static(b"slow")]);
    let (_, handle) = within("a placement", hub.place(&setup, 1, |_| FakeEnd::pair())).await.expect("placed");
    handle.assert_echo().await;
    assert_eq!(machine.fakes.counts().started, 2);
}

/// The times of programs, doubled, because tests share the machine.
fn doubled_timings() -> Timings {
    let Timings { association, connection, .. } = Timings::default();
    Timings {
        association: Timeouts {
            heartbeat: association.heartbeat * 2,
            silence: association.silence * 2,
            absence: association.absence * 2,
            outage: association.outage * 2,
        },
        connection: ConnectionTimeouts {
            connect: connection.connect * 2,
            ping: connection.ping * 2,
            request: connection.request * 2,
        },
        ..Timings::default()
    }
}

/// Places a worker although the first answers may be lost.
async fn place_slowly(hub: &Hub) -> (Placed, Handle) {
    within("a placement", async {
        loop {
            if let Ok(placed) = try_place(hub, &echo()).await {
                return placed;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await
}
