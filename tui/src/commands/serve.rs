//! `circles serve`: one circle in this process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server_ws::{Access, Circle, Limits};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    cli::ServeArgs,
    connect::runtime,
    error::{CliError, os_text},
    printing,
};

pub(crate) fn run(args: ServeArgs) -> Result<(), CliError> {
    start_log()?;
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
    let circle = circle.build().map_err(|error| CliError::usage("cannot make the circle", error.to_string(), ""))?;

    let listener =
        TcpListener::bind((args.host, args.port)).map_err(|error| cannot_listen(&args.host, args.port, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(&args.host, args.port, &error))?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let shutdown = shutdown()?;
        // An address that stands for all of them is none that anyone could dial.
        let dialled = if address.ip().is_unspecified() {
            SocketAddr::new(loopback(address.ip()), address.port())
        } else {
            address
        };
        match printing::to_stdout(&format!("listening on ws://{dialled}\n")).map_err(CliError::from) {
            // Nobody need read where it is.
            Ok(()) | Err(CliError::OutputGone) => {}
            Err(error) => return Err(error),
        }
        server_ws::run(listener, circle, shutdown)
            .await
            .map_err(|error| CliError::io("the circle ended", &error, "its log says more"))
    })
}

fn loopback(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}

/// `NAME=VALUE` over the defaults.
fn limits(settings: &[String]) -> Result<Limits, CliError> {
    let wrong = |setting: &str, why: &str| {
        CliError::usage(
            format!("--limit {} cannot be used", printing::visible(setting)),
            why,
            "give NAME=VALUE, a whole number; `describe` lists the names",
        )
    };
    let defaults = serde_json::to_value(Limits::default()).unwrap_or_default();
    let mut map = defaults.as_object().cloned().unwrap_or_default();
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or_else(|| wrong(setting, "there is no '='"))?;
        let value: u64 = value.parse().map_err(|_| wrong(setting, "the value is no whole number"))?;
        if !map.contains_key(name) {
            return Err(wrong(setting, "there is no limit of that name"));
        }
        map.insert(name.to_owned(), value.into());
    }
    serde_json::from_value(map.into()).map_err(|error| wrong("", &error.to_string()))
}

fn cannot_listen(host: &IpAddr, port: u16, error: &std::io::Error) -> CliError {
    let fix = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("choose another --port, or 0 for a free one; who has it: ss -ltnp 'sport = :{port}'")
        }
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose a higher one".into(),
        _ => "check --host and --port".into(),
    };
    CliError::usage(format!("cannot listen on {host} port {port}"), os_text(error), fix)
}

/// Done at the first SIGTERM, SIGINT or SIGHUP; a second ends the process at once.
fn shutdown() -> Result<impl Future<Output = ()>, CliError> {
    let listen = |kind| signal(kind).map_err(|error| CliError::io("cannot listen to signals", &error, ""));
    let mut signals =
        [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?];
    Ok(async move {
        next(&mut signals).await;
        tokio::spawn(async move {
            next(&mut signals).await;
            printing::to_stderr("ended at once, by a second signal\n");
            std::process::exit(130);
        });
    })
}

async fn next([terminate, interrupt, hangup]: &mut [tokio::signal::unix::Signal; 3]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// As many descriptors as the system lets this process have: a connection takes one, a worker two.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// `CIRCLES_LOG` is error, warn, info (the default), debug or trace.
fn start_log() -> Result<(), CliError> {
    let level = match std::env::var("CIRCLES_LOG") {
        Ok(level) => level.parse().map_err(|_| {
            CliError::usage("CIRCLES_LOG cannot be used", "it is no level", "error, warn, info, debug or trace")
        })?,
        Err(_) => tracing::Level::INFO,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(printing::Paint::for_stderr().is_on())
        .finish()
        // The web server's own words are of its threads, which nobody here knows by that name.
        .with(
            Targets::new()
                .with_default(level)
                .with_target("actix_server", level.min(tracing::Level::WARN))
                // Anyone can send it what is no HTTP.
                .with_target("actix_http", LevelFilter::OFF),
        )
        .init();
    Ok(())
}
