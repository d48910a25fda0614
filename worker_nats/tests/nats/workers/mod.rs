//! Hubs and machines over a real nats-server, with workers that echo.

mod draining;
mod fake_end;
mod fake_worker;
mod faults;
mod fetching;
mod malformed;
mod placing;
mod relaying;
mod room;
mod status;
mod threads;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};
use worker_nats::{
    Setup, Timings,
    association::Timeouts,
    config::NatsConfig,
    connection::ConnectionTimeouts,
    machine::{self, Circles, MachineError, MachineOptions},
    server::{Hub, HubOptions, PlaceError, Placed},
    subjects::SubjectName,
};

use self::{
    fake_end::{FakeEnd, Handle},
    fake_worker::{FakeStarter, Fakes, setup},
};
use super::{WAIT_TIMEOUT, server::NatsServer, settings, within};

/// Interval of attempts to place a worker while a machine starts.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn name(name: &str) -> SubjectName {
    SubjectName::new(name).expect("valid")
}

/// Times that are short, and long enough for a machine with other work.
fn timings() -> Timings {
    Timings {
        association: Timeouts {
            heartbeat: millis(100),
            silence: millis(3_000),
            absence: millis(800),
            outage: millis(3_000),
        },
        connection: ConnectionTimeouts {
            connect: Duration::from_secs(10),
            ping: millis(300),
            ..ConnectionTimeouts::default()
        },
        connect_delay: millis(50),
        part: Duration::from_secs(10),
        refusal: millis(300),
        grace: Duration::from_mins(10),
        ..Timings::default()
    }
}

/// Times with which an outage ends no worker.
fn patient_timings() -> Timings {
    let minute = Duration::from_mins(1);
    let association = Timeouts { silence: minute, absence: minute, outage: minute, ..timings().association };
    Timings { association, ..timings() }
}

fn hub_options(url: &str, timings: Timings) -> HubOptions {
    HubOptions {
        config: NatsConfig::new(&settings(url)).expect("valid settings"),
        circle: name("team"),
        identity: "key-1".into(),
        build: name("build-1"),
        timings,
    }
}

async fn connect_hub(url: &str, timings: Timings) -> Arc<Hub> {
    Hub::connect(hub_options(url, timings)).await.expect("a hub")
}

fn machine_options(url: &str, machine: &str, timings: Timings) -> MachineOptions {
    MachineOptions {
        config: NatsConfig::new(&settings(url)).expect("valid settings"),
        circles: Circles::Named(vec![name("team")]),
        name: name(machine),
        version: "0.1.0".into(),
        build: name("build-1"),
        places: 100,
        memory: u64::MAX,
        cache: 16 << 20,
        timings,
    }
}

/// A machine in a task of its own.
struct RunningMachine {
    fakes: Arc<Fakes>,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), MachineError>>,
}

impl RunningMachine {
    fn start(options: MachineOptions) -> Self {
        let fakes = Arc::new(Fakes::default());
        let (shutdown, on_shutdown) = oneshot::channel();
        let starter = FakeStarter(fakes.clone());
        let task = tokio::spawn(machine::run(options, starter, async {
            // A dropped sender is no request to drain.
            if on_shutdown.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        Self { fakes, shutdown: Some(shutdown), task }
    }

    fn with_name(url: &str, machine: &str) -> Self {
        Self::start(machine_options(url, machine, timings()))
    }

    fn drain(&mut self) {
        self.shutdown.take().expect("once").send(()).expect("the machine runs");
    }

    /// Waits until no worker runs.
    async fn idle(&self) {
        within("the end of all workers", self.fakes.wait(|counts| counts.running == 0)).await;
    }
}

impl Drop for RunningMachine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn try_place(hub: &Hub, setup: &Arc<Setup>) -> Result<(Placed, Handle), PlaceError> {
    within("a placement", hub.place(setup, 1, |_| FakeEnd::pair())).await
}

/// Places a worker, as soon as there is a machine.
async fn place(hub: &Hub, setup: &Arc<Setup>) -> (Placed, Handle) {
    let begun = Instant::now();
    loop {
        match try_place(hub, setup).await {
            Ok(placed) => return placed,
            Err(PlaceError::NoMachine | PlaceError::Full | PlaceError::NotConnected(_))
                if begun.elapsed() < WAIT_TIMEOUT =>
            {
                sleep(POLL_INTERVAL).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn echo() -> Arc<Setup> {
    setup(&[Bytes::from_static(b"echo")])
}
