//! `circles serve`: one circle in this process.

mod audit;
mod described;
mod records;
pub(crate) mod shutdown;
mod supervised;

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use keys::{
    KeyPair,
    identity_file::{self, LoadedIdentity},
};
use launcher::{SdNotifier, link::Ready, log::LogLevel, port::PortError};
use records::Records;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shutdown::{RUNTIME_TIMEOUT, shutdown};
use supervised::Supervisor;
use tokio::{runtime::Runtime, sync::oneshot};

use crate::cli::ServeArgs;
use frontend::{
    error::{CliError, os_error_text},
    script,
};
use terminal::runtime::runtime;
use terminal::{modes::ignore_file_size_signal, output};

pub(crate) fn run(args: &ServeArgs) -> Result<(), CliError> {
    if !args.supervised {
        return serve(args, runtime()?, None);
    }
    // Away from the supervisor's terminal, whose Ctrl-C is the supervisor's. Who starts it by hand from a shell that made it
    // lead a process group has it where it is.
    let _leads_already = rustix::process::setsid();
    let runtime = runtime()?;
    let mut supervisor = runtime.block_on(async { Supervisor::at_stdin() })?;
    // What it is to be is not among its arguments, which every user of the system can read.
    match runtime.block_on(supervisor.start()) {
        Some(arguments) => serve(&described::parse(arguments)?, runtime, Some(supervisor)),
        // It has ended, or does not want it any more.
        None => Ok(()),
    }
}

fn serve(args: &ServeArgs, runtime: Runtime, supervisor: Option<Supervisor>) -> Result<(), CliError> {
    // Held until the process ends: a successor waits for that.
    let _held = args.lock_file.as_deref().map(launcher::place::acquire_lock).transpose()?;
    ignore_file_size_signal(&runtime)?;
    // Until all is said.
    let records = Records::start(args)?;
    records.hear_panics();
    let served = serve_on(&runtime, args, supervisor, &records);
    // What blocks, as on a file system that stands still, must not keep the process.
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    served.inspect_err(|error| records.keep(LogLevel::Error, &error.advice()))
}

fn serve_on(
    runtime: &Runtime,
    args: &ServeArgs,
    mut supervisor: Option<Supervisor>,
    records: &Records,
) -> Result<(), CliError> {
    raise_descriptor_limit();
    let identity = identity(args, records)?;
    let circle = Arc::new(described::circle(args, records.audit(), identity)?);

    let wanted = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(wanted).map_err(|error| cannot_listen(wanted, error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(wanted, error))?;
    // A supervisor says itself how its circles are.
    let mut manager = if supervisor.is_some() { SdNotifier::default() } else { SdNotifier::from_environment() };
    runtime.spawn(Records::count_plays(records.audit_writer()));
    runtime.block_on(async {
        let signalled = shutdown(records.flusher())?;
        // Before anyone is told where it is: until its init script has run, nothing answers.
        let wants_the_end = async {
            match &mut supervisor {
                Some(supervisor) => supervisor.wants_the_end().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(signalled);
        tokio::select! {
            checked = server_ws::check(&circle) => checked.map_err(|error| match (error.kind(), &args.init) {
                (ErrorKind::InvalidData, Some(init)) => script::init_script_error("the circle cannot start".into(), init, &error),
                _ => cannot_serve(&error),
            })?,
            () = &mut signalled => return Ok(()),
            () = wants_the_end => return Ok(()),
        }
        let dialled = launcher::connect_address(address);
        let listening = format!("listening on ws://{dialled}");
        records.keep(LogLevel::Info, &listening);
        match output::to_stdout(&format!("{listening}\n")).map_err(CliError::from) {
            // Nobody need read where it is.
            Ok(()) | Err(CliError::OutputClosed) => {}
            Err(error) => return Err(error),
        }
        let (drain, drained) = oneshot::channel();
        // Without a supervisor nobody sends there, and it is not dropped either.
        let _kept = match supervisor {
            Some(supervisor) => {
                let observer = circle.observer();
                let figures = move || supervised::figures(&observer.snapshot());
                let (running, started) = (circle.clone(), (args.host, args.port));
                let configure = move |arguments| {
                    let running = running.clone();
                    async move { described::take_over(&running, started, arguments).await }
                };
                let identity = Some(circle.identity().to_hex());
                tokio::spawn(supervisor.attend(Ready { address: dialled, identity }, figures, configure, drain));
                None
            }
            None => Some(drain),
        };
        manager.set_status(&listening);
        manager.notify_ready();
        let (stopping, stops) = oneshot::channel();
        let shutdown = async {
            tokio::select! {
                () = signalled => {}
                // Dropped, or its task ended because the supervisor has.
                _ = drained => {}
            }
            // Who hears it is there for as long as the circle is served.
            let _told = stopping.send(());
        };
        let served = managed(server_ws::run(listener, circle, shutdown), manager, stops).await;
        served.map_err(|error| cannot_serve(&error))
    })
}

/// The circle's identity, where it has a file for it.
fn identity(args: &ServeArgs, records: &Records) -> Result<Option<KeyPair>, CliError> {
    let Some(file) = &args.identity else { return Ok(None) };
    let LoadedIdentity { keypair, is_new } = identity_file::load_or_create(file)?;
    if is_new {
        records.keep(LogLevel::Info, &format!("made the identity {} in {}", keypair.public_key(), file.display()));
    }
    Ok(Some(keypair))
}

fn cannot_listen(address: SocketAddr, error: std::io::Error) -> CliError {
    let (ip, port) = (address.ip(), address.port());
    let why = PortError::from_bind_error(address, error);
    let fix = match (&why, why.advice()) {
        (PortError::Taken { .. } | PortError::TakenUnseen { .. }, advice) => {
            format!("choose another --port, or 0 for a free one; {advice}")
        }
        (PortError::NeedsPrivilege { .. }, advice) => format!("choose a higher --port; or {advice}"),
        (PortError::NoAddress { .. }, advice) => format!("choose another --host; {advice}"),
        _ => "check --host and --port".into(),
    };
    let why = match why {
        PortError::System(error) => os_error_text(&error),
        why => why.to_string(),
    };
    CliError::usage(format!("cannot listen on {ip} port {port}"), why, fix)
}

/// Serves, and tells the service manager meanwhile that this is alive, and when the circle drains.
async fn managed<S: Future>(serving: S, mut manager: SdNotifier, mut stops: oneshot::Receiver<()>) -> S::Output {
    tokio::pin!(serving);
    loop {
        tokio::select! {
            biased;
            _ = &mut stops, if !stops.is_terminated() => manager.notify_stopping(),
            served = &mut serving => {
                // It may have drained at once.
                manager.notify_stopping();
                return served;
            }
            () = manager.wait_until_watchdog_due() => manager.notify_watchdog(),
        }
    }
}

fn cannot_serve(error: &std::io::Error) -> CliError {
    match error.kind() {
        ErrorKind::Unsupported => CliError::usage(
            "the circle will not start",
            error.to_string(),
            "run it where seccomp is, or mean it: --sandbox best-effort (\"sandbox\" in circles.json)",
        ),
        ErrorKind::InvalidData => CliError::usage("the circle cannot start", error.to_string(), "mend its init script"),
        _ => CliError::io("the circle ended", error, "its log says more"),
    }
}

/// As many descriptors as the system lets this process have: a connection takes one, a worker three.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
