//! Placements: where workers start, and why not.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use worker_nats::{
    Setup, Timings,
    config::{NatsConfig, NatsSettings},
    machine::{Circles, MachineOptions},
    server::{Hub, HubError, HubOptions, PlaceError, RemoteCommands, RemoteLoss},
    wire::{Channel, Loss},
};

use super::{
    NatsServer, POLL_INTERVAL, RunningMachine, connect_hub, echo,
    fake_worker::{MEMORY, flood_byte},
    hub_options, machine_options, millis, name, patient_timings, place, setup, timings, try_place,
};
use crate::{connect_with, permissions, proxy::Proxy, server::write_private, settings, within};

#[tokio::test]
async fn placed_worker_echoes_and_obeys() {
    let Some(server) = NatsServer::start("placed_worker", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let (placed, handle) = place(&hub, &echo()).await;
    assert_eq!((placed.machine.as_str(), placed.pid, placed.memory_base), ("m1", Some(42), MEMORY));
    handle.assert_echo().await;
    // The first report comes without a request.
    handle.usage().await;
    handle.command(RemoteCommands { sample: true, ..RemoteCommands::default() });
    assert_eq!(handle.usage().await.cpu, Duration::from_millis(7));
    handle.command(RemoteCommands { lower_priority: true, ..RemoteCommands::default() });
    within("the lower priority", machine.fakes.wait(|counts| counts.lowered == 1)).await;
    let status = hub.status();
    assert_eq!((status.is_connected, status.workers, status.placed, status.error), (true, 1, 1, None));
    handle.command(RemoteCommands { kill: true, ..RemoteCommands::default() });
    assert_eq!(handle.loss().await, RemoteLoss::Stated(Loss::Killed));
    handle.ended(Channel::Work).await;
    handle.ended(Channel::Control).await;
    // A dropped handle ends its worker.
    let (_, handle) = place(&hub, &echo()).await;
    drop(handle);
    machine.idle().await;
    assert_eq!(machine.fakes.counts().started, 2);
}

#[tokio::test]
async fn two_machines_share_the_workers() {
    let Some(server) = NatsServer::start("two_machines", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machines = ["m1", "m2"].map(|machine| RunningMachine::with_name(&server.url(), machine));
    let (setup, mut handles, mut names) = (echo(), Vec::new(), HashSet::new());
    while names.len() < 2 {
        let (placed, handle) = place(&hub, &setup).await;
        handle.assert_echo().await;
        handles.push(handle);
        names.insert(placed.machine);
        assert!(handles.len() < 90, "NATS picks machines at random: {names:?}");
    }
    let running = machines.iter().map(|machine| machine.fakes.counts().running).sum::<usize>();
    assert_eq!(running, handles.len());
    drop(handles);
    for machine in &machines {
        machine.idle().await;
    }
}

#[tokio::test]
async fn placement_without_a_machine_of_the_build_fails() {
    let Some(server) = NatsServer::start("no_machine", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let Err(error) = try_place(&hub, &echo()).await else { panic!("a worker") };
    assert_eq!(error, PlaceError::NoMachine);
    assert!(error.retry_after() >= Duration::from_secs(1) && error.retry_after() < Duration::from_secs(2));
    let options = machine_options(&server.url(), "m1", timings());
    let _machine = RunningMachine::start(MachineOptions { build: name("build-2"), ..options });
    let error = within("the state of the machine", async {
        loop {
            match try_place(&hub, &echo()).await {
                Err(PlaceError::NoMachine) => tokio::task::yield_now().await,
                Err(error) => return error,
                Ok(_) => panic!("a worker"),
            }
        }
    });
    let text = error.await.to_string();
    assert_eq!(text, "no worker machine runs build build-1, others run build-2: run the same version on all machines");
    assert_eq!(hub.status().machines[0].build, name("build-2"));
}

#[tokio::test]
async fn full_machine_gets_no_more_workers() {
    let Some(server) = NatsServer::start("full_machine", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let options = machine_options(&server.url(), "m1", timings());
    let _machine = RunningMachine::start(MachineOptions { places: 1, ..options.clone() });
    let (_, first) = place(&hub, &echo()).await;
    assert_eq!(try_place(&hub, &echo()).await.err(), Some(PlaceError::Full));
    // Another machine gets the next ones.
    let by_memory = RunningMachine::start(MachineOptions { memory: 2 * MEMORY, name: name("m2"), ..options });
    let (second, handle) = place(&hub, &echo()).await;
    let (third, _other) = place(&hub, &echo()).await;
    assert_eq!((second.machine.as_str(), third.machine.as_str()), ("m2", "m2"));
    assert_eq!(try_place(&hub, &echo()).await.err(), Some(PlaceError::Full));
    // The place is free again.
    drop(first);
    let (fourth, _third) = place(&hub, &echo()).await;
    assert_eq!(fourth.machine.as_str(), "m1");
    handle.assert_echo().await;
    assert_eq!(by_memory.fakes.counts().started, 2);
}

#[tokio::test]
async fn setup_is_fetched_in_parts_and_kept() {
    let Some(server) = NatsServer::start("setup", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let observer = connect_with(settings(&server.url())).await.expect("connected");
    let mut requests = observer.client().subscribe("circles.team.server.*.blob").await.expect("subscribed");
    observer.client().flush().await.expect("flushed");
    let large = Bytes::from((0..3_000_000).map(flood_byte).collect::<Vec<_>>());
    let texts = [Bytes::from_static(b"echo"), large, Bytes::new()];
    let (_, first) = place(&hub, &setup(&texts)).await;
    first.assert_echo().await;
    let mut count = async || {
        // The worker runs, so all requests were published; this one comes after them.
        observer.client().publish("circles.team.server.x.blob", "end".into()).await.expect("published");
        let mut count = 0;
        while within("a request", requests.next()).await.expect("a request").payload[..] != b"end"[..] {
            count += 1;
        }
        count
    };
    // The manifest, the first text and 46 parts of the second one; the empty text needs no request.
    assert_eq!(count().await, 1 + 1 + 46);
    let (_, _second) = place(&hub, &setup(&texts)).await;
    assert_eq!((count().await, machine.fakes.counts().prepared), (0, 1));
    // A changed text is one text, and the manifest.
    let changed = [texts[0].clone(), texts[1].clone(), Bytes::from_static(b"new")];
    let (_, _third) = place(&hub, &setup(&changed)).await;
    assert_eq!((count().await, machine.fakes.counts().prepared), (2, 2));
}

#[tokio::test]
async fn many_placements_at_once_prepare_one_setup() {
    let Some(server) = NatsServer::start("many_placements", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, _first) = place(&hub, &echo()).await;
    let setup = setup(&[Bytes::from_static(b"echo"), Bytes::from_static(b"other")]);
    let handles = futures_util::future::join_all((0..50).map(|_| place(&hub, &setup))).await;
    for (_, handle) in &handles {
        handle.assert_echo().await;
    }
    assert_eq!((machine.fakes.counts().prepared, hub.status().workers), (2, 51));
}

#[tokio::test]
async fn worker_that_does_not_start_is_refused() {
    let Some(server) = NatsServer::start("refused", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let options = machine_options(&server.url(), "m1", timings());
    let machine = RunningMachine::start(MachineOptions { cache: 1_000, ..options });
    let (_, _first) = place(&hub, &echo()).await;
    // Some attempts failed before the machine was there.
    let failed = hub.status().failed;
    let refused = async |setup: Arc<Setup>| match try_place(&hub, &setup).await {
        Err(PlaceError::Refused(reason)) => reason,
        other => panic!("{:?}", other.err()),
    };
    // The text has no control characters.
    assert_eq!(refused(setup(&[Bytes::from_static(b"fail")])).await, "there is no more memory");
    let reason = refused(setup(&[Bytes::from(vec![1; 990])])).await;
    assert_eq!(reason, "the setup has 1059 bytes, and this machine accepts 1000");
    let no_manifest = Arc::new(Setup::new("x".into(), []));
    assert_eq!(refused(no_manifest).await, "no manifest");
    assert_eq!(machine.fakes.counts().running, 1);
    assert_eq!(hub.status().failed, failed + 3);
}

#[tokio::test]
async fn another_machine_starts_the_worker_that_one_cannot_start() {
    let Some(server) = NatsServer::start("another_machine_starts", "") else { return };
    // Many requests, of which NATS picks one machine at random for each.
    let patient = Timings { refusal: Duration::from_secs(10), ..timings() };
    let hub = connect_hub(&server.url(), patient).await;
    let options = machine_options(&server.url(), "sick", timings());
    let sick = RunningMachine::start(MachineOptions { cache: 1_000, ..options });
    let _well = RunningMachine::with_name(&server.url(), "well");
    // Both machines are there.
    let mut seen = HashSet::new();
    let mut workers = Vec::new();
    while seen.len() < 2 {
        let (placed, worker) = place(&hub, &echo()).await;
        seen.insert(placed.machine);
        workers.push(worker);
    }
    let large = setup(&[Bytes::from(vec![1; 990])]);
    for _ in 0..8 {
        let (placed, worker) = try_place(&hub, &large).await.expect("the other machine starts it");
        assert_eq!(placed.machine, name("well"));
        workers.push(worker);
    }
    assert!(sick.fakes.counts().running > 0);
}

#[tokio::test]
async fn hub_starts_without_nats_and_connects_later() {
    let Some(mut server) = NatsServer::start("hub_without_nats", "") else { return };
    server.kill();
    let hub = connect_hub(&server.url(), timings()).await;
    let error = try_place(&hub, &echo()).await.err();
    assert!(
        matches!(&error, Some(PlaceError::NotConnected(reason)) if reason.contains("could not connect to NATS")),
        "{error:?}"
    );
    assert!(!hub.status().is_connected && hub.status().error.is_some());
    server.launch("");
    let _machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, handle) = place(&hub, &echo()).await;
    handle.assert_echo().await;
    assert_eq!((hub.status().is_connected, hub.status().error), (true, None));
}

#[tokio::test]
async fn circle_of_the_same_name_with_another_key_is_refused() {
    let Some(server) = NatsServer::start("same_name", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    // A server with the same key is another server of the circle.
    let _second = connect_hub(&server.url(), timings()).await;
    let other = HubOptions { identity: "key-2".into(), ..hub_options(&server.url(), timings()) };
    let error = Hub::connect(other).await.expect_err("another key");
    assert!(matches!(&error, HubError::NameTaken { other, own, .. } if other == "key-1" && own == "key-2"), "{error}");
    // The first one knows, too.
    assert!(hub.status().conflict.is_some_and(|text| text.contains("key-2")));
}

#[tokio::test]
async fn machine_of_all_circles_serves_any() {
    let Some(server) = NatsServer::start("all_circles", "") else { return };
    let options = machine_options(&server.url(), "m1", timings());
    let _machine = RunningMachine::start(MachineOptions { circles: Circles::All, ..options });
    let mut handles = Vec::new();
    for circle in ["team", "other"] {
        let options = HubOptions { circle: name(circle), ..hub_options(&server.url(), timings()) };
        let hub = Hub::connect(options).await.expect("a hub");
        let (_, handle) = place(&hub, &echo()).await;
        handle.assert_echo().await;
        handles.push((hub, handle));
    }
    for (_, handle) in &handles {
        handle.assert_echo().await;
    }
}

#[tokio::test]
async fn placement_that_nobody_waits_for_leaves_no_worker() {
    let Some(server) = NatsServer::start("abandoned", "") else { return };
    let hub = connect_hub(&server.url(), timings()).await;
    let machine = RunningMachine::with_name(&server.url(), "m1");
    let (_, handle) = place(&hub, &echo()).await;
    drop(handle);
    machine.idle().await;
    let setup = echo();
    let placement = hub.place(&setup, 1, |_| super::FakeEnd::pair());
    // The request is in the hub's queue, and nobody waits any more when the hub looks at it.
    assert!(Box::pin(placement).now_or_never().is_none());
    tokio::select! {
        biased;
        () = within("the worker", machine.fakes.wait(|counts| counts.started == 2)) => {}
        // The answer of the machine was faster.
        placed = hub.place(&setup, 1, |_| super::FakeEnd::pair()) => drop(placed),
    }
    machine.idle().await;
    assert_eq!((hub.status().workers, machine.fakes.counts().started), (0, 2));
}

#[tokio::test]
async fn confined_users_of_server_and_machine_are_enough() {
    let Some(server) = NatsServer::start("confined", &permissions::config()) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let config = |user: &str| {
        let password_file = Some(write_private(&directory.path().join("password"), "hunter2"));
        let settings = NatsSettings { user: Some(user.into()), password_file, ..settings(&server.url()) };
        NatsConfig::new(&settings).expect("valid settings")
    };
    let options = HubOptions { config: config("server"), ..hub_options(&server.url(), timings()) };
    let hub = Hub::connect(options).await.expect("a hub");
    let options = MachineOptions { config: config("m1"), ..machine_options(&server.url(), "m1", timings()) };
    let machine = RunningMachine::start(options);
    let (_, handle) = place(&hub, &echo()).await;
    handle.assert_echo().await;
    assert_eq!((hub.status().machines.len(), hub.status().error), (1, None));
    drop(handle);
    machine.idle().await;
}

/// A machine that was paused answers all requests for a worker, also those that the server has given up.
#[tokio::test]
async fn late_answer_of_a_machine_ends_its_own_worker_alone() {
    let Some(server) = NatsServer::start("late_answer", "") else { return };
    let hub = connect_hub(&server.url(), Timings { placement: millis(100), ..patient_timings() }).await;
    let proxy = Proxy::start(&server.url());
    let machine = RunningMachine::start(machine_options(&proxy.url(), "m1", patient_timings()));
    within("a machine with room", async {
        while !hub.status().machines.iter().any(|machine| machine.has_room) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await;
    let observer = connect_with(settings(&server.url())).await.expect("connected");
    let mut requests = observer.client().subscribe("circles.team.place.*").await.expect("subscribed");
    observer.client().flush().await.expect("flushed");
    proxy.freeze();
    let setup = echo();
    let (placed, ()) = tokio::join!(try_place(&hub, &setup), async {
        for _ in 0..3 {
            within("a request", requests.next()).await.expect("a message");
        }
        proxy.thaw();
    });
    let (_, handle) = placed.expect("a worker");
    handle.assert_echo().await;
    within("the end of the other workers", machine.fakes.wait(|counts| counts.started >= 3 && counts.running == 1))
        .await;
    handle.assert_echo().await;
    assert_eq!(hub.status().given_up, 0);
}

/// A machine may publish to the subjects of servers, and may know when one starts.
#[tokio::test]
async fn machine_cannot_answer_as_another_server_of_the_circle() {
    let Some(server) = NatsServer::start("false_server", "") else { return };
    let attacker = connect_with(settings(&server.url())).await.expect("connected");
    let client = attacker.client().clone();
    let mut announcements = client.subscribe("circles.*.servers").await.expect("subscribed");
    client.flush().await.expect("flushed");
    let (answered, on_answered) = tokio::sync::oneshot::channel();
    let attack = tokio::spawn(async move {
        let mut answered = Some(answered);
        while let Some(message) = announcements.next().await {
            let Ok(new) = serde_json::from_slice::<serde_json::Value>(&message.payload) else { continue };
            let name = new["server"].as_str().expect("a name");
            let evil = r#"{"v":1,"server":"0123456789abcdef","identity":"evil","is_new":false}"#;
            let subjects =
                ["link", "blob", "inbox.server", "inbox.x"].map(|rest| format!("circles.team.server.{name}.{rest}"));
            for subject in subjects.into_iter().chain(message.reply.map(|reply| reply.to_string())) {
                client.publish(subject, evil.into()).await.expect("published");
            }
            client.flush().await.expect("flushed");
            if let Some(answered) = answered.take() {
                answered.send(()).expect("the test waits");
            }
        }
    });
    let hub = connect_hub(&server.url(), timings()).await;
    within("the attack", on_answered).await.expect("it has answered");
    assert_eq!(hub.status().conflict, None);
    attack.abort();
}
