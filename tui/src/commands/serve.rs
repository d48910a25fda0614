//! `circles serve`: one circle in this process.

mod records;
mod supervised;

use std::{
    io::ErrorKind,
    net::{IpAddr, TcpListener},
};

use launcher::{
    link::{Figures, Ready},
    log::Level,
};
use protocol::RpcError;
use records::Records;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server_ws::{Access, Circle, Limits, Sandbox};
use supervised::Supervisor;
use tokio::{runtime::Runtime, signal::unix::SignalKind, sync::oneshot};

use crate::{
    cli::ServeArgs,
    connect::runtime,
    error::{CliError, os_text},
    printing, script,
    terminal::{is_ignored, listen, outlive_full_files},
};

pub(crate) fn run(args: ServeArgs) -> Result<(), CliError> {
    // Held until the process ends: a successor waits for that.
    let _held = args.lock_file.as_deref().map(launcher::place::hold).transpose()?;
    let runtime = runtime()?;
    outlive_full_files(&runtime)?;
    // Until all is said.
    let records = Records::start(&args)?;
    records.hear_panics();
    serve(args, runtime, &records).inspect_err(|error| records.keep(Level::Error, &error.advice()))
}

#[expect(clippy::needless_pass_by_value, reason = "its end is that of all that runs on it")]
fn serve(args: ServeArgs, runtime: Runtime, records: &Records) -> Result<(), CliError> {
    raise_descriptor_limit();
    let access = args.access.unwrap_or(if args.member.is_empty() { Access::Open } else { Access::Members });
    if access == Access::Open && !args.host.is_loopback() && !args.allow_open {
        return Err(CliError::usage(
            format!("will not serve an open circle on {}", args.host),
            "anyone who reaches that address could play",
            "say who may: --access authenticated, or --member HEX; or mean it: --allow-open",
        ));
    }
    if access != Access::Members && !args.member.is_empty() {
        return Err(CliError::usage(
            "--member says who may play",
            "with this --access others may, too",
            "leave one of the two out",
        ));
    }
    let mut circle = Circle::builder(args.name)
        .access(access)
        .members(args.member)
        .hosts(args.hosts)
        .origins(args.origins)
        .sandbox(match args.sandbox {
            Some(launcher::Sandbox::Required) => Sandbox::Required,
            None if !args.host.is_loopback() => Sandbox::Required,
            _ => Sandbox::BestEffort,
        })
        .limits(limits(&args.limit)?);
    if let Some(description) = args.description {
        circle = circle.description(description);
    }
    if let Some(directory) = args.modules {
        // A worker has no working directory of the user's.
        let directory = directory.canonicalize().map_err(|error| {
            CliError::io(format!("cannot read the modules in {}", directory.display()), &error, "check --modules")
        })?;
        circle = circle.modules(directory);
    }
    if let Some(audit) = records.audit() {
        circle = circle.audit(audit);
    }
    if let Some(file) = &args.init {
        circle = circle.init(script::read_file(file)?);
    }
    let circle = circle.build().map_err(|error| CliError::usage("cannot make the circle", error.to_string(), ""))?;

    let listener =
        TcpListener::bind((args.host, args.port)).map_err(|error| cannot_listen(&args.host, args.port, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(&args.host, args.port, &error))?;
    runtime.block_on(async {
        let signalled = shutdown(records.flusher())?;
        let mut supervisor = args.supervised.then(Supervisor::at_stdin).transpose()?;
        // Before anyone is told where it is: until its init script has run, nothing answers.
        let wants_the_end = async {
            match &mut supervisor {
                Some(supervisor) => supervisor.wants_the_end().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(signalled);
        tokio::select! {
            checked = server_ws::check(&circle) => checked.map_err(|error| cannot_serve(&error))?,
            () = &mut signalled => return Ok(()),
            () = wants_the_end => return Ok(()),
        }
        let dialled = launcher::dialled(address);
        let listening = format!("listening on ws://{dialled}");
        records.keep(Level::Info, &listening);
        match printing::to_stdout(&format!("{listening}\n")).map_err(CliError::from) {
            // Nobody need read where it is.
            Ok(()) | Err(CliError::OutputGone) => {}
            Err(error) => return Err(error),
        }
        let (drain, drained) = oneshot::channel();
        // Without a supervisor nobody sends there, and it is not dropped either.
        let _kept = match supervisor {
            Some(supervisor) => {
                let connections = circle.connections();
                let figures = move || Figures { connections: connections.count() as u64 };
                let configure = |_| async { Err(RpcError::Internal) };
                tokio::spawn(supervisor.attend(Ready { address: dialled }, figures, configure, drain));
                None
            }
            None => Some(drain),
        };
        let shutdown = async {
            tokio::select! {
                () = signalled => {}
                // Dropped, or its task ended because the supervisor has.
                _ = drained => {}
            }
        };
        server_ws::run(listener, circle, shutdown).await.map_err(|error| cannot_serve(&error))
    })
}

/// `NAME=VALUE` over the defaults.
fn limits(settings: &[String]) -> Result<Limits, CliError> {
    let wrong = |setting: &str, why: &str| {
        CliError::usage(
            format!("--limit {} cannot be used", crate::visible::visible(setting)),
            why,
            "give NAME=VALUE, a whole number; `describe` lists the names",
        )
    };
    let mut limits = Limits::default();
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or_else(|| wrong(setting, "there is no '='"))?;
        let value: u64 = value.parse().map_err(|_| wrong(setting, "the value is no whole number"))?;
        limits.set(name, value).map_err(|error| wrong(setting, &error.to_string()))?;
    }
    Ok(limits)
}

fn cannot_listen(host: &IpAddr, port: u16, error: &std::io::Error) -> CliError {
    let fix = match error.kind() {
        ErrorKind::AddrInUse => {
            format!("choose another --port, or 0 for a free one; who has it: ss -ltnp 'sport = :{port}'")
        }
        ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose a higher one".into(),
        _ => "check --host and --port".into(),
    };
    CliError::usage(format!("cannot listen on {host} port {port}"), os_text(error), fix)
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

/// Done at the first SIGTERM, SIGINT or SIGHUP that the process was not started to ignore; a second ends it at once, after
/// these last words.
pub(crate) fn shutdown(
    last_words: impl FnOnce() + Send + 'static,
) -> Result<impl Future<Output = ()> + Send + 'static, CliError> {
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()]
        .into_iter()
        .filter(|kind| !is_ignored(*kind))
        .map(listen)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(async move {
        next(&mut signals).await;
        tokio::spawn(async move {
            next(&mut signals).await;
            last_words();
            printing::to_stderr("ended at once, by a second signal\n");
            std::process::exit(130);
        });
    })
}

async fn next(signals: &mut [tokio::signal::unix::Signal]) {
    std::future::poll_fn(|context| {
        let is_one = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if is_one { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// As many descriptors as the system lets this process have: a connection takes one, a worker three.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
