//! Builds circles from arguments.

use std::{net::IpAddr, path::Path};

use clap::Parser;
use keys::KeyPair;
use launcher::{StoreConfig, control::CONFIG_INVALID};
use protocol::{ErrorObject, RpcError};
use server_ws::{
    Access, BuildError, Circle, Limits, PlayRecord, RemoteWorkers, Sandbox, StoreLocation, TlsCertificate,
    TlsCertificateError, Workers,
};

use super::{circle_roles::CircleRoles, recovery::RecoveryProgress};
use crate::cli::{Cli, ServeArgs, Verb};
use frontend::{error::CliError, script, suggest};

/// Builds the circle. Blocks: reads the files that the arguments name, and recovers the store after a crash.
pub(crate) fn build_circle(
    args: &ServeArgs,
    audit: Option<impl Fn(PlayRecord) + Send + Sync + 'static>,
    identity: Option<KeyPair>,
    remote: Option<RemoteWorkers>,
    progress: RecoveryProgress,
) -> Result<Circle, CliError> {
    let certificate = certificate(args).transpose()?;
    let store = args.store.clone().map(|store| match store {
        StoreConfig::Memory => StoreLocation::Memory,
        StoreConfig::File(path) => StoreLocation::File(path),
    });
    let store = store.map(|location| (location, progress));
    build_with_certificate(args, certificate, store, audit, identity, remote)
}

/// Reads the certificate that the arguments name, if they name one. Blocks.
fn certificate(args: &ServeArgs) -> Option<Result<TlsCertificate, CliError>> {
    let (cert, key) = args.tls_cert.as_deref().zip(args.tls_key.as_deref())?;
    Some(load_certificate(cert, key))
}

fn build_with_certificate(
    args: &ServeArgs,
    certificate: Option<TlsCertificate>,
    store: Option<(StoreLocation, RecoveryProgress)>,
    audit: Option<impl Fn(PlayRecord) + Send + Sync + 'static>,
    identity: Option<KeyPair>,
    remote: Option<RemoteWorkers>,
) -> Result<Circle, CliError> {
    let roles = args.roles.as_deref().map(CircleRoles::parse).transpose()?;
    let access = match &roles {
        Some(roles) => roles.access,
        None => args.access.unwrap_or(if args.member.is_empty() { Access::Open } else { Access::Members }),
    };
    if access == Access::Open && !args.host.is_loopback() && !args.allow_open {
        let restrict = if roles.is_some() {
            "give \"anyone\" a role without \"play\""
        } else {
            "restrict access (--access authenticated, or --member HEX)"
        };
        return Err(CliError::usage(
            format!("refusing to serve an open circle on {}", args.host),
            "anyone who can reach that address could play",
            format!("{restrict}, or confirm with --allow-open"),
        ));
    }
    if access != Access::Members && !args.member.is_empty() {
        return Err(CliError::usage(
            "--member conflicts with --access",
            "with this --access others may play, too",
            "leave one of the two out",
        ));
    }
    let workers = remote.map_or(Workers::SameExecutable, Workers::Remote);
    let mut circle = Circle::builder(&args.name)
        .workers(workers)
        .access(access)
        .allow_open(args.allow_open)
        .members(args.member.iter().copied())
        .hosts(args.hosts.iter().cloned())
        .origins(args.origins.iter().cloned())
        .trusted_proxies(args.trusted_proxies.iter().copied())
        .console(!args.no_console)
        .sandbox(match args.sandbox {
            Some(launcher::Sandbox::Required) => Sandbox::Required,
            None if !args.host.is_loopback() => Sandbox::Required,
            _ => Sandbox::BestEffort,
        })
        .limits(parse_limits(&args.limit)?);
    if let Some(certificate) = certificate {
        circle = circle.tls(certificate);
    }
    if let Some(description) = &args.description {
        circle = circle.description(description);
    }
    if let Some(directory) = &args.modules {
        // The error names the argument and what to do.
        let directory = directory.canonicalize().map_err(|error| {
            CliError::io(format!("cannot read the modules in {}", directory.display()), &error, "check --modules")
        })?;
        circle = circle.modules(directory);
    }
    if let Some(keypair) = identity {
        // The system may give a free port to another circle next time.
        circle = if args.port == 0 { circle.ephemeral_identity(keypair) } else { circle.identity(keypair) };
    }
    if let Some(audit) = audit {
        circle = circle.audit(audit);
    }
    if let Some(file) = &args.init {
        circle = circle.init(script::load_init(file)?);
    }
    if let Some(roles) = roles {
        circle = circle.roles(roles.definition);
    }
    if let Some(directory) = &args.functions {
        circle = circle.functions(directory);
    }
    if let Some((location, progress)) = store {
        circle = circle.store(location).on_store_recovery(move |permille| progress.set(permille));
    }
    circle.build().map_err(|error| {
        let fix = match error {
            BuildError::Modules { .. } => {
                "check --modules (\"modules\" in circles.json): use a directory with nothing but modules"
            }
            BuildError::Store { .. } => "check --store (\"store\" in circles.json)",
            _ => "",
        };
        CliError::usage("cannot create the circle", error.to_string(), fix)
    })
}

/// Reads the certificate of a circle. Blocks.
pub(crate) fn load_certificate(cert: &Path, key: &Path) -> Result<TlsCertificate, CliError> {
    TlsCertificate::from_files(cert, key).map_err(|error| {
        let file = if error.is_about_key() { key } else { cert };
        let fix = "check --tls-cert and --tls-key (\"tls\" in circles.json)";
        match error {
            TlsCertificateError::Read { path, source } => {
                CliError::io(format!("cannot read {}", path.display()), &source, fix)
            }
            other => CliError::usage(format!("cannot serve TLS with {}", file.display()), other.to_string(), fix),
        }
    })
}

/// Parses the arguments from a supervisor.
pub(crate) fn parse_args(arguments: Vec<String>) -> Result<ServeArgs, CliError> {
    let not_understood = |why: String| {
        CliError::usage(
            "the circle cannot start",
            why,
            "if the supervisor is another version, restart it: circles down, circles up",
        )
    };
    match Cli::try_parse_from(std::iter::once("circles".to_owned()).chain(arguments)).map(|cli| cli.verb) {
        Ok(Some(Verb::Serve(args))) => Ok(*args),
        Ok(_) => Err(not_understood("its supervisor sent no configuration of a circle".into())),
        Err(error) => Err(not_understood(error.to_string())),
    }
}

/// Applies new arguments to a running circle, or rejects them. If only the certificate is unusable, everything else
/// applies. If anything else fails, only roles and members apply. The error says so.
pub(crate) async fn apply_config(
    circle: &Circle,
    started: (IpAddr, u16),
    arguments: Vec<String>,
) -> Result<(), RpcError> {
    let refused = |message: String| RpcError::Other(ErrorObject { code: CONFIG_INVALID, message, data: None });
    let (current, remote) = (circle.certificate(), circle.remote_workers());
    let configured = tokio::task::spawn_blocking(move || {
        let parsed = Cli::try_parse_from(std::iter::once("circles".to_owned()).chain(arguments));
        match parsed.map(|cli| cli.verb) {
            Ok(Some(Verb::Serve(args))) if (args.host, args.port) == started => {
                Ok((rebuild(&args, current, remote), args.roles))
            }
            Ok(Some(Verb::Serve(_))) => Err("the address of a running circle cannot change".into()),
            Ok(_) => Err("this is no configuration of a circle".into()),
            Err(error) => Err(error.to_string()),
        }
    });
    let (built, roles) = configured.await.map_err(|_| RpcError::Internal)?.map_err(refused)?;
    let applied = match built {
        Ok((new, fault)) => circle.reconfigure(new).await.map(|()| fault).map_err(|error| error.to_string()),
        Err(fault) => Err(fault),
    };
    let fault = match applied {
        Ok(fault) => fault,
        Err(fault) => {
            // A mistake, for example in a function file, must not keep a removed member in.
            let roles = roles.and_then(|roles| CircleRoles::parse(&roles).ok());
            let are_roles_set = roles.is_some_and(|roles| circle.set_roles(roles.definition).is_ok());
            // Before the fault, which can end with a line of a file.
            let kept = if are_roles_set { "the new roles and members are in effect, and nothing else: " } else { "" };
            return Err(refused(format!("{kept}{fault}")));
        }
    };
    match fault {
        None => Ok(()),
        Some(fault) => {
            Err(refused(format!("{fault}; the circle keeps the previous certificate, and has all other changes")))
        }
    }
}

/// Builds the circle of changed arguments, with the certificate in use if the new one is unusable; then also returns why.
/// Blocks.
fn rebuild(
    args: &ServeArgs,
    current: Option<TlsCertificate>,
    remote: Option<RemoteWorkers>,
) -> Result<(Circle, Option<String>), String> {
    // An unusable certificate must not keep other changes, such as a removed member, from their effect.
    let (certificate, fault) = match certificate(args) {
        Some(Err(error)) if current.is_some() => (current, Some(error.advice())),
        loaded => (loaded.transpose().map_err(|error| error.advice())?, None),
    };
    // The running circle has the file open, and keeps its store.
    let store = args.store.as_ref().map(|_| (StoreLocation::Memory, RecoveryProgress::default()));
    let built = build_with_certificate(args, certificate, store, None::<fn(PlayRecord)>, None, remote);
    built.map(|circle| (circle, fault)).map_err(|error| error.advice())
}

/// Applies `NAME=VALUE` settings to the default limits.
fn parse_limits(settings: &[String]) -> Result<Limits, CliError> {
    let invalid = |setting: &str, why: &str| {
        let names = serde_json::to_value(Limits::default()).unwrap_or_default();
        let names = names.as_object().into_iter().flat_map(|names| names.keys().map(String::as_str));
        let name = setting.split('=').next().unwrap_or_default();
        let fix = match suggest::nearest(name, names) {
            Some(near) if near != name => format!("did you mean '{near}'?"),
            _ => "give NAME=VALUE with a whole number; docs/operating.md lists the names".into(),
        };
        CliError::usage(format!("invalid --limit {}", frontend::visible::visible(setting)), why, fix)
    };
    let mut limits = Limits::default();
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or_else(|| invalid(setting, "it has no '='"))?;
        let value: u64 = value.parse().map_err(|_| invalid(setting, "the value is not a whole number"))?;
        limits.set(name, value).map_err(|error| invalid(setting, &error.to_string()))?;
    }
    Ok(limits)
}
