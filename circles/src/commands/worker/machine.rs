//! The worker machine.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use frontend::error::CliError;
use rustix::process::{Resource, getrlimit};
use terminal::output;
use tokio_util::sync::CancellationToken;
use worker::Program;
use worker_nats::{
    Timings,
    config::NatsConfig,
    machine::{self, Circles, MachineError, MachineOptions},
    subjects::SubjectName,
    workers::{ForkStarter, build_name},
};

use crate::commands::{
    nats::{PROGRAM, connect_error},
    serve::{circle_logs::CircleLogs, raise_descriptor_limit, shutdown::shutdown},
};

/// Interval of attempts to connect with `--wait`.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Descriptors of this process that a worker takes, and those that all workers leave for the rest.
const WORKER_DESCRIPTORS: u64 = 3;
const OTHER_DESCRIPTORS: u64 = 128;

/// Places without `--places`, if the open files allow them.
const DEFAULT_PLACES: u64 = 1024;

/// Memory of all workers without `--memory-mib` where the system does not report its memory, in bytes.
const DEFAULT_MEMORY: u64 = 2 << 30;

/// Size of the texts of setups that the machine keeps, and of one setup, in bytes.
const CACHE: u64 = 256 << 20;

/// The settings of a worker machine.
pub(super) struct MachineSettings {
    /// The connection to NATS.
    pub(super) config: NatsConfig,
    /// The circles that the machine serves; all if the list is empty.
    pub(super) circles: Vec<SubjectName>,
    /// The name in the subjects of the machine.
    pub(super) name: SubjectName,
    /// Maximum number of workers.
    pub(super) places: Option<NonZeroU32>,
    /// Memory of all workers in MiB, above which the machine accepts no more.
    pub(super) memory_mib: Option<NonZeroU64>,
    /// Time between the signal to end and the kill of the remaining workers.
    pub(super) grace: Duration,
    /// Whether the machine waits until a NATS server is reachable.
    pub(super) waits: bool,
}

/// Runs the machine until a signal, and until its last worker has ended or the grace period is over.
pub(super) async fn run(settings: MachineSettings) -> Result<(), CliError> {
    // Written to the end before the error of the command.
    let _logs = CircleLogs::start_on_stderr()?;
    raise_descriptor_limit();
    let MachineSettings { config, circles, name, places, memory_mib, grace, waits } = settings;
    let signalled = shutdown(|| {})?;
    let possible = possible_places();
    let wanted = places.map_or(0, |places| u64::from(places.get()));
    let places = if wanted == 0 { DEFAULT_PLACES } else { wanted }.min(possible);
    if wanted > possible {
        output::to_stderr(&format!(
            "warning: --places is lowered to {possible}, for which the open files of this process suffice: raise their limit \
             (ulimit -n, LimitNOFILE=)\n"
        ));
    }
    let options = MachineOptions {
        config,
        circles: if circles.is_empty() { Circles::All } else { Circles::Named(circles) },
        name,
        version: env!("CARGO_PKG_VERSION").into(),
        build: build_name(PROGRAM),
        places: usize::try_from(places).unwrap_or(usize::MAX),
        memory: memory_mib.map_or_else(half_of_memory, |mib| mib.get().saturating_mul(1 << 20)),
        cache: CACHE,
        timings: Timings { grace, ..Timings::default() },
    };
    let shutdown = CancellationToken::new();
    tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            signalled.await;
            shutdown.cancel();
        }
    });
    let served = match &options.circles {
        Circles::All => "all circles".to_owned(),
        Circles::Named(names) => names.iter().map(SubjectName::as_str).collect::<Vec<_>>().join(", "),
    };
    output::to_stderr(&format!(
        "worker machine {}: {places} places, build {}, for {served}\n",
        options.name, options.build
    ));
    let mut is_reported = false;
    loop {
        let starter = ForkStarter::new(Program::SameExecutable);
        // The runtime wakes a task of its own without a system call, unlike the future that it blocks on.
        let machine = tokio::spawn(machine::run(options.clone(), starter, shutdown.clone().cancelled_owned()));
        let error = match machine.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        if !(waits && error.is_transient()) {
            return Err(machine_error(&error));
        }
        if !is_reported {
            output::to_stderr(&format!("warning: {error}; trying again each second\n"));
            is_reported = true;
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY_INTERVAL) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

fn machine_error(error: &MachineError) -> CliError {
    match error {
        MachineError::Connect(error) => connect_error(error),
        MachineError::Permission(error) => {
            let fix = "check --name and --circle: the permissions of a machine name both";
            CliError::refused(error.to_string(), "", fix)
        }
        // Like the loss of any connection: another attempt may succeed.
        MachineError::ClientEnded => CliError::supervisor(error.to_string(), "", ""),
        error => CliError::usage(error.to_string(), "", ""),
    }
}

/// Returns how many places the open files allow.
fn possible_places() -> u64 {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (descriptors.saturating_sub(OTHER_DESCRIPTORS) / WORKER_DESCRIPTORS).max(1)
}

/// Returns half of the memory of this machine, or of what its control groups leave this process, in bytes.
fn half_of_memory() -> u64 {
    worker::machine_memory().map_or(DEFAULT_MEMORY, |bytes| bytes / 2)
}
