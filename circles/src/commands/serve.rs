//! `circles serve`: one circle in this process.

mod audit;
mod circle_args;
mod circle_logs;
pub(crate) mod shutdown;
mod supervisor_ipc;

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use circle_logs::CircleLogs;
use keys::{
    KeyPair,
    identity_file::{self, LoadedIdentity},
};
use launcher::{SdNotifier, ipc::Ready, log::LogLevel, port::PortError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shutdown::{RUNTIME_TIMEOUT, shutdown};
use supervisor_ipc::SupervisorIpc;
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
    let mut supervisor = runtime.block_on(async { SupervisorIpc::from_stdin() })?;
    // What it is to be is not among its arguments, which every user of the system can read.
    match runtime.block_on(supervisor.receive_arguments()) {
        Some(arguments) => serve(&circle_args::parse_args(arguments)?, runtime, Some(supervisor)),
        // It has ended, or does not want it any more.
        None => Ok(()),
    }
}

fn serve(args: &ServeArgs, runtime: Runtime, supervisor: Option<SupervisorIpc>) -> Result<(), CliError> {
    // Held until the process ends: a successor waits for that.
    let _held = args.lock_file.as_deref().map(launcher::supervisor_files::acquire_lock).transpose()?;
    ignore_file_size_signal(&runtime)?;
    // Until all is said.
    let records = CircleLogs::start(args)?;
    records.log_panics();
    let served = serve_circle(&runtime, args, supervisor, &records);
    // What blocks, as on a file system that stands still, must not keep the process.
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    served.inspect_err(|error| records.write_to_file(LogLevel::Error, &error.advice()))
}

fn serve_circle(
    runtime: &Runtime,
    args: &ServeArgs,
    mut supervisor: Option<SupervisorIpc>,
    records: &CircleLogs,
) -> Result<(), CliError> {
    raise_descriptor_limit();
    let identity = identity(args, records)?;
    let circle = Arc::new(circle_args::build_circle(args, records.audit(), identity)?);

    let address = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(address).map_err(|error| listen_error(address, error))?;
    let address = listener.local_addr().map_err(|error| listen_error(address, error))?;
    // A supervisor says itself how its circles are.
    let mut manager = if supervisor.is_some() { SdNotifier::default() } else { SdNotifier::from_environment() };
    runtime.spawn(CircleLogs::write_counts_periodically(records.audit_writer()));
    runtime.block_on(async {
        let signalled = shutdown(records.flusher())?;
        // Before anyone is told where it is: until its init script has run, nothing answers.
        let drain_requested = async {
            match &mut supervisor {
                Some(supervisor) => supervisor.wait_for_drain().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(signalled);
        tokio::select! {
            checked = server_ws::check(&circle) => checked.map_err(|error| match (error.kind(), &args.init) {
                (ErrorKind::InvalidData, Some(init)) => script::init_script_error("the circle cannot start".into(), init, &error),
                _ => serve_error(&error),
            })?,
            () = &mut signalled => return Ok(()),
            () = drain_requested => return Ok(()),
        }
        let dialled = launcher::connect_address(address);
        let listening = format!("listening on ws://{dialled}");
        records.write_to_file(LogLevel::Info, &listening);
        match output::to_stdout(&format!("{listening}\n")).map_err(CliError::from) {
            // Nobody need read where it is.
            Ok(()) | Err(CliError::OutputClosed) => {}
            Err(error) => return Err(error),
        }
        let (drain, drained) = oneshot::channel();
        // Without a supervisor nobody sends there, and it is not dropped either.
        let _unused_drain = match supervisor {
            Some(supervisor) => {
                let observer = circle.observer();
                let figures = move || supervisor_ipc::to_heartbeat(&observer.snapshot());
                let (running, started) = (circle.clone(), (args.host, args.port));
                let configure = move |arguments| {
                    let running = running.clone();
                    async move { circle_args::apply_config(&running, started, arguments).await }
                };
                let identity = Some(circle.identity().to_hex());
                tokio::spawn(supervisor.run(Ready { address: dialled, identity }, figures, configure, drain));
                None
            }
            None => Some(drain),
        };
        manager.set_status(&listening);
        manager.notify_ready();
        let (stopping, stop_signal) = oneshot::channel();
        let shutdown = async {
            tokio::select! {
                () = signalled => {}
                // Dropped, or its task ended because the supervisor has.
                _ = drained => {}
            }
            // Who hears it is there for as long as the circle is served.
            let _told = stopping.send(());
        };
        let served = serve_with_notifications(server_ws::run(listener, circle, shutdown), manager, stop_signal).await;
        served.map_err(|error| serve_error(&error))
    })
}

/// The circle's identity, where it has a file for it.
fn identity(args: &ServeArgs, records: &CircleLogs) -> Result<Option<KeyPair>, CliError> {
    let Some(file) = &args.identity else { return Ok(None) };
    let LoadedIdentity { keypair, is_new } = identity_file::load_or_create(file)?;
    if is_new {
        records.write_to_file(
            LogLevel::Info,
            &format!("made the identity {} in {}", keypair.public_key(), file.display()),
        );
    }
    Ok(Some(keypair))
}

fn listen_error(address: SocketAddr, error: std::io::Error) -> CliError {
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
async fn serve_with_notifications<S: Future>(
    serving: S,
    mut manager: SdNotifier,
    mut stop_signal: oneshot::Receiver<()>,
) -> S::Output {
    tokio::pin!(serving);
    loop {
        tokio::select! {
            biased;
            _ = &mut stop_signal, if !stop_signal.is_terminated() => manager.notify_stopping(),
            served = &mut serving => {
                // It may have drained at once.
                manager.notify_stopping();
                return served;
            }
            () = manager.wait_until_watchdog_due() => manager.notify_watchdog(),
        }
    }
}

fn serve_error(error: &std::io::Error) -> CliError {
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
