//! Functions on worker machines: a call whose machine is lost runs again, unless what it has done lasts.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
    mpsc,
};

use serde_json::json;
use server_ws::{RemoteWorkers, Workers, host};
use tokio::task::JoinHandle;
use worker_nats::{
    Timings,
    config::{NatsConfig, NatsSettings},
    machine::{self, Circles, MachineOptions},
    server::{Hub, HubOptions},
    subjects::SubjectName,
    workers::{ForkStarter, build_name},
};

use super::{
    Test, WAIT_TIMEOUT,
    nats::NatsServer,
    shop::{Shop, roles, runtime},
    wire::WireClient,
};

pub(crate) const TESTS: &[Test] = &[
    ("rerunnable_call_runs_again_after_the_loss_of_its_machine", rerunnable_call_runs_again),
    ("call_with_lasting_effects_fails_with_its_machine", call_with_lasting_effects_fails),
];

/// The name of the build of server and machines.
const PROGRAM: &str = "tests of functions";

/// The function tells its host module, and computes until the test has lost its machine.
const FUNCTION: &str =
    "/// @timeout 60000\nfn send() { let sent = mail::send(); if sent == 1 { loop {} } else { sent } }\n";

fn name(name: &str) -> SubjectName {
    SubjectName::new(name).expect("valid")
}

fn config(nats: &NatsServer) -> NatsConfig {
    NatsConfig::new(&NatsSettings { servers: nats.url(), ..NatsSettings::default() }).expect("valid settings")
}

/// A machine in a task, which vanishes when it is dropped.
struct LocalMachine(JoinHandle<()>);

impl LocalMachine {
    fn start(nats: &NatsServer, machine: &str) -> Self {
        let options = MachineOptions {
            config: config(nats),
            circles: Circles::Named(vec![name("shop")]),
            name: name(machine),
            version: "1".into(),
            build: build_name(PROGRAM),
            places: 10,
            memory: u64::MAX,
            cache: 1 << 20,
            timings: Timings::default(),
        };
        let starter = ForkStarter::new(worker::Program::SameExecutable);
        Self(runtime().spawn(async move {
            machine::run(options, starter, std::future::pending()).await.expect("a connection");
        }))
    }
}

impl Drop for LocalMachine {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Mail {
    module: host::Module,
    sent: Arc<AtomicU32>,
    messages: mpsc::Receiver<u32>,
}

impl Mail {
    /// A module whose function returns how often it was called.
    fn new() -> Self {
        let (sent, (message, messages)) = (Arc::new(AtomicU32::new(0)), mpsc::channel());
        let counter = sent.clone();
        let module = host::Module::new("mail").function("send", [], "Sends.", move |_: host::Call, (): ()| {
            let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
            // The test may have ended.
            let _received = message.send(number);
            async move { Ok(number) }
        });
        Self { module, sent, messages }
    }
}

/// Starts a call on a machine that vanishes, while another one is there. Returns the answer.
fn call_on_lost_machine(nats: &NatsServer, module: host::Module, messages: &mpsc::Receiver<u32>) -> serde_json::Value {
    let options = HubOptions {
        config: config(nats),
        circle: name("shop"),
        identity: "key".into(),
        build: build_name(PROGRAM),
        timings: Timings::default(),
    };
    let hub = runtime().block_on(Hub::connect(options)).expect("a hub");
    let shop = Shop::start_with(&[("send", FUNCTION)], roles(), |circle| {
        circle.workers(Workers::Remote(RemoteWorkers::new(hub.clone()))).host_module(module)
    });
    let first = LocalMachine::start(nats, "m1");
    wait_for_machines(&hub, 1);
    let mut wire: WireClient = shop.connect();
    let call = wire.request("fn.send", json!({}));
    assert_eq!(messages.recv_timeout(WAIT_TIMEOUT), Ok(1), "the function runs");
    let _second = LocalMachine::start(nats, "m2");
    wait_for_machines(&hub, 2);
    drop(first);
    wire.answer(&call)
}

fn wait_for_machines(hub: &Hub, count: usize) {
    let began = std::time::Instant::now();
    while hub.status().machines.len() < count {
        assert!(began.elapsed() < WAIT_TIMEOUT, "{:?}", hub.status());
        std::thread::yield_now();
    }
}

fn rerunnable_call_runs_again() {
    let Some(nats) = NatsServer::start("rerunnable_call_runs_again", "") else { return };
    let Mail { module, sent, messages } = Mail::new();
    let answer = call_on_lost_machine(&nats, module.rerunnable(), &messages);
    assert_eq!((&answer["result"], sent.load(Ordering::Relaxed)), (&json!(2), 2), "{answer}");
}

fn call_with_lasting_effects_fails() {
    let Some(nats) = NatsServer::start("call_with_lasting_effects_fails", "") else { return };
    let Mail { module, sent, messages } = Mail::new();
    let answer = call_on_lost_machine(&nats, module, &messages);
    let error = &answer["error"];
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("killed")), "{answer}");
    assert_eq!(sent.load(Ordering::Relaxed), 1);
}
