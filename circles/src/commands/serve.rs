//! `circles serve`: serve one circle in this process.

mod audit;
mod certificate_watch;
mod circle_args;
pub(crate) mod circle_logs;
mod circle_roles;
mod export;
mod recovery;
pub(crate) mod shutdown;
mod supervisor_ipc;
pub(crate) mod worker_pool;

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
use recovery::RecoveryProgress;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shutdown::{RUNTIME_TIMEOUT, shutdown};
use supervisor_ipc::SupervisorIpc;
use tokio::{runtime::Runtime, sync::oneshot};

use crate::{cli::ServeArgs, console_hint};
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
    // Leaves the supervisor's terminal, whose Ctrl-C is for the supervisor. Fails only if a user started this process by hand
    // as the leader of a process group.
    let _already_leader = rustix::process::setsid();
    let runtime = runtime()?;
    let mut supervisor = runtime.block_on(async { SupervisorIpc::from_stdin() })?;
    // The configuration is not in the arguments of the process, which every user of the system can read.
    match runtime.block_on(supervisor.receive_arguments()) {
        Some(arguments) => serve(&circle_args::parse_args(arguments)?, runtime, Some(supervisor)),
        // The supervisor has ended, or stopped the circle.
        None => Ok(()),
    }
}

fn serve(args: &ServeArgs, runtime: Runtime, supervisor: Option<SupervisorIpc>) -> Result<(), CliError> {
    // Held until the process ends: its successor waits for that.
    let _lock = args.lock_file.as_deref().map(launcher::supervisor_files::acquire_lock).transpose()?;
    ignore_file_size_signal(&runtime)?;
    // Lives until the last error is written.
    let logs = CircleLogs::start(args)?;
    logs.log_panics();
    let served = serve_circle(&runtime, args, supervisor, &logs);
    // A blocked thread, as on a hanging file system, must not keep the process alive.
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    served.inspect_err(|error| logs.write_to_file(LogLevel::Error, &error.advice()))
}

fn serve_circle(
    runtime: &Runtime,
    args: &ServeArgs,
    mut supervisor: Option<SupervisorIpc>,
    logs: &CircleLogs,
) -> Result<(), CliError> {
    raise_descriptor_limit();
    let identity = identity(args, logs)?;
    let remote = runtime.block_on(worker_pool::connect(args, identity.as_ref()))?;
    // A supervisor reports the state of its circles itself.
    let mut sd_notifier = if supervisor.is_some() { SdNotifier::default() } else { SdNotifier::from_environment() };
    let progress = RecoveryProgress::default();
    let building = {
        let (args, audit, progress) = (args.clone(), logs.audit(), progress.clone());
        runtime.spawn_blocking(move || circle_args::build_circle(&args, audit, identity, remote, progress))
    };
    let building = recovery::wait_until_built(building, &progress, supervisor.as_mut(), &mut sd_notifier);
    let Some(built) = runtime.block_on(building) else { return Ok(()) };
    let circle = Arc::new(built?);

    let address = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(address).map_err(|error| listen_error(address, error, supervisor.is_some()))?;
    let address = listener.local_addr().map_err(|error| listen_error(address, error, supervisor.is_some()))?;
    runtime.spawn(CircleLogs::write_counts_periodically(logs.audit_writer()));
    runtime.block_on(async {
        let signalled = shutdown(logs.flusher())?;
        // Before the address is announced: the circle answers nothing until its init script has run.
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
        let url = launcher::client_url(dialled, args.tls_cert.is_some(), &[]);
        let listening = format!("listening on {url}");
        logs.write_to_file(LogLevel::Info, &listening);
        match output::to_stdout(&format!("{listening}\n")).map_err(CliError::from) {
            // A closed stdout is fine.
            Ok(()) | Err(CliError::OutputClosed) => {}
            Err(error) => return Err(error),
        }
        if !args.no_console {
            console_hint::show(&url);
        }
        let watched = args.tls_cert.clone().zip(args.tls_key.clone()).filter(|_| supervisor.is_none());
        let watching = certificate_watch::watch(circle.clone(), watched);
        let (drain, drained) = oneshot::channel();
        // Without a supervisor the sender must stay alive: dropping it would drain the circle.
        let _unused_drain = match supervisor {
            Some(supervisor) => {
                let observer = circle.observer();
                let heartbeat = move || supervisor_ipc::to_heartbeat(&observer.snapshot());
                let (configured, started) = (circle.clone(), (args.host, args.port));
                let configure = move |arguments| {
                    let circle = configured.clone();
                    async move { circle_args::apply_config(&circle, started, arguments).await }
                };
                let identity = Some(circle.identity().to_hex());
                let exported = circle.clone();
                let export = move |file, stop| export::export(exported.clone(), file, stop);
                let ready = Ready { address: dialled, identity };
                tokio::spawn(supervisor.run(ready, heartbeat, configure, export, drain));
                None
            }
            None => Some(drain),
        };
        sd_notifier.set_status(&listening);
        sd_notifier.notify_ready();
        let (stopping, stop_signal) = oneshot::channel();
        let shutdown = async {
            tokio::select! {
                () = signalled => {}
                // Dropped at a drain request, or because the supervisor has ended.
                _ = drained => {}
            }
            // The receiver lives as long as the circle is served.
            let _sent = stopping.send(());
        };
        let serving = serve_with_notifications(server_ws::run(listener, circle, shutdown), sd_notifier, stop_signal);
        tokio::select! {
            served = serving => served.map_err(|error| serve_error(&error)),
            never = watching => match never {},
        }
    })
}

/// Loads or creates the circle's identity, if a file is configured.
fn identity(args: &ServeArgs, logs: &CircleLogs) -> Result<Option<KeyPair>, CliError> {
    let Some(file) = &args.identity else { return Ok(None) };
    let LoadedIdentity { keypair, is_new } = identity_file::load_or_create(file)?;
    if is_new {
        logs.write_to_file(LogLevel::Info, &format!("created identity {} in {}", keypair.public_key(), file.display()));
    }
    Ok(Some(keypair))
}

/// Returns the error for an address that cannot be used. The circles of a supervisor have it from circles.json.
fn listen_error(address: SocketAddr, error: std::io::Error, is_supervised: bool) -> CliError {
    let (ip, port) = (address.ip(), address.port());
    let [port_setting, host_setting] =
        if is_supervised { ["\"port\" in circles.json", "\"host\" in circles.json"] } else { ["--port", "--host"] };
    let why = PortError::from_bind_error(address, error);
    let fix = match (&why, why.advice()) {
        (PortError::Taken { .. } | PortError::TakenUnseen { .. }, advice) => {
            format!("choose another {port_setting}, or 0 for a free one; {advice}")
        }
        (PortError::NeedsPrivilege { .. }, advice) => format!("choose a higher {port_setting}; or {advice}"),
        (PortError::NoAddress { .. }, advice) => format!("choose another {host_setting}; {advice}"),
        _ => format!("check {host_setting} and {port_setting}"),
    };
    let why = match why {
        PortError::System(error) => os_error_text(&error),
        why => why.to_string(),
    };
    CliError::usage(format!("cannot listen on {ip} port {port}"), why, fix)
}

/// Serves the circle, and notifies the service manager (`sd_notify`): watchdog pings, and the begin of draining.
async fn serve_with_notifications<S: Future>(
    serving: S,
    mut sd_notifier: SdNotifier,
    mut stop_signal: oneshot::Receiver<()>,
) -> S::Output {
    tokio::pin!(serving);
    loop {
        tokio::select! {
            biased;
            _ = &mut stop_signal, if !stop_signal.is_terminated() => sd_notifier.notify_stopping(),
            served = &mut serving => {
                // Draining may have finished at once.
                sd_notifier.notify_stopping();
                return served;
            }
            () = sd_notifier.wait_until_watchdog_due() => sd_notifier.notify_watchdog(),
        }
    }
}

fn serve_error(error: &std::io::Error) -> CliError {
    match error.kind() {
        ErrorKind::Unsupported => CliError::usage(
            "the circle refuses to start",
            error.to_string(),
            "run it on a system with seccomp, or confirm with --sandbox best-effort (\"sandbox\" in circles.json)",
        ),
        ErrorKind::InvalidData => CliError::usage("the circle cannot start", error.to_string(), "fix its init script"),
        _ => CliError::io("the circle ended", error, "see its log"),
    }
}

/// Raises the limit of open files to the hard limit: a connection takes one, a worker three.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
