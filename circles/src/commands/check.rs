//! `circles check`: validate circles.json, run its init scripts, and check that its circles can start on this machine.

use std::{
    fs::{File, OpenOptions},
    io::ErrorKind,
    path::Path,
};

use functions::roles::AccessControl;
use keys::identity_file::{self, IdentityFileError};
use launcher::{ConfigLocator, port, supervisor_files::SupervisorFiles};
use protocol::methods::Access;
use rustix::fs::{Access as Permission, access};
use serde_json::json;
use server_ws::{CALLER_GROUPS, Circle, StoreLocation, TlsCertificate};
use worker_nats::config::{NatsConfig, NatsConfigError};

use super::store::file::{StoreWarning, find_store_error, find_store_warnings};
use crate::cli::CheckArgs;
use frontend::{
    config,
    error::{CliError, ErrorParts, os_error_text},
    script, supervisor,
    visible::visible,
};
use terminal::output::{to_stderr, to_stdout};

/// Largest number of unreadable modules, and of unreadable files of functions, that are reported for a circle.
const MAX_LISTED_FILES: usize = 3;

pub(crate) fn run(args: &CheckArgs) -> Result<(), CliError> {
    match check(args) {
        Err(error) if args.json && !matches!(error, CliError::AlreadyReported { .. }) => {
            // Even if nobody reads stdout.
            let _unread = to_stdout(&format!("{}\n", json!({ "circles": [], "errors": [error.advice()] })));
            Err(error)
        }
        checked => checked,
    }
}

fn check(args: &CheckArgs) -> Result<(), CliError> {
    let (path, circles) = config::load(args.config.path())?;
    let pointer = ConfigLocator::load(&path)?;
    let runtime = terminal::runtime::client_runtime()?;
    let width = circles.iter().map(|circle| circle.name.len()).max().unwrap_or_default();
    let (mut failed, mut objects, mut global_errors) = (Vec::new(), Vec::new(), Vec::new());
    let files = supervisor::place(args.config.path()).and_then(|files| check_log_directory(&files).map(|()| files));
    if let Err(error) = &files {
        global_errors.push(error.advice());
        if !args.json {
            terminal::output::report(error);
        }
        failed.push("all (their logs cannot be written)");
    }
    let files = files.ok();
    let own_pids = match &files {
        Some(files) => runtime.block_on(supervisor::circle_pids(files)),
        None => Vec::new(),
    };
    for circle in &circles {
        // Reports all errors of all circles, not just the first.
        let mut errors = find_errors(circle, &pointer, &own_pids);
        let mut warnings = find_warnings(circle, &pointer);
        warnings.extend(store_warnings(circle, &pointer));
        let pool_warning = find_pool_warning(circle);
        warnings.extend(pool_warning.map(|what| pointer.error_at(&circle.name, "worker_pool", what).to_string()));
        errors.extend(files.as_ref().and_then(|files| check_log_file(&files.log(&circle.name)).err()));
        if circle.init.as_deref().is_none_or(|init| File::open(init).is_ok()) {
            match runtime.block_on(check_init_script(circle)) {
                Ok(built) => warnings.extend(untyped_functions(circle, &pointer, &built)),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            failed.push(circle.name.as_str());
        }
        if args.json {
            objects.push(json!({
                "name": circle.name,
                "url": circle.url(),
                "access": circle.access,
                "functions": function_workers(circle)
                    .map(|(workers, mib)| json!({ "workers": workers, "memory_mib": mib })),
                "worker_pool": circle.worker_pool.as_ref().map(|pool| json!({ "nats": pool.servers })),
                "errors": errors.iter().map(CliError::advice).collect::<Vec<_>>(),
                "warnings": warnings,
            }));
            continue;
        }
        errors.iter().for_each(terminal::output::report);
        for warning in &warnings {
            to_stderr(&format!("warning: {}\n", visible(warning)));
        }
        if !errors.is_empty() {
            continue;
        }
        let access = match circle.access {
            Access::Members => format!("members ({})", circle.members.len()),
            other => other.to_string(),
        };
        let access = match &circle.roles {
            Some(roles) => format!("{} roles, {} members; may play: {access}", roles.roles.len(), roles.members.len()),
            None => access,
        };
        let functions = function_workers(circle)
            .map(|(workers, mib)| format!("; functions: at most {workers} workers, {mib} MiB"))
            .unwrap_or_default();
        let pool = circle.worker_pool.as_ref().map(|pool| format!("; workers by NATS: {}", visible(&pool.servers)));
        let pool = pool.unwrap_or_default();
        to_stdout(&format!("{:width$}  {}  {access}{functions}{pool}\n", circle.name, circle.url()))?;
    }
    if args.json {
        let written = to_stdout(&format!("{}\n", json!({ "circles": objects, "errors": global_errors })));
        return if failed.is_empty() { Ok(written?) } else { Err(CliError::AlreadyReported { exit_code: 2 }) };
    }
    if !failed.is_empty() {
        return Err(CliError::usage(format!("cannot start: {}", failed.join(", ")), "", "fix the errors above"));
    }
    Ok(to_stdout(&format!("{} is valid\n", path.display()))?)
}

/// Finds what prevents a circle from starting on this machine; each error points at its field. A port that one of
/// `own_pids` holds, the user's own circles, is no error.
pub(crate) fn find_errors(circle: &launcher::CircleConfig, pointer: &ConfigLocator, own_pids: &[u32]) -> Vec<CliError> {
    let at = |field, what: String| CliError::Config(pointer.error_at(&circle.name, field, what));
    let mut errors = Vec::new();
    match port::check_address(circle.address) {
        Err(port::PortError::Taken { owner, .. }) if own_pids.contains(&owner.pid) => {}
        Err(unusable) => errors.push(at(unusable.field(), unusable_text(&unusable))),
        Ok(()) => {}
    }
    if let Some(init) = &circle.init
        && let Err(error) = File::open(init)
    {
        errors.push(at("init", format!("cannot read {}: {}", init.display(), os_error_text(&error))));
    }
    if let Some(directory) = &circle.modules {
        let names = worker::module_names(directory).unwrap_or_else(|error| {
            errors.push(at("modules", format!("cannot read {}: {}", directory.display(), os_error_text(&error))));
            Vec::new()
        });
        let unreadable = names.iter().filter_map(|name| {
            let file = directory.join(format!("{name}.rhai"));
            let error = File::open(&file).err()?;
            Some(at("modules", format!("cannot read {}: {}", file.display(), os_error_text(&error))))
        });
        errors.extend(unreadable.take(MAX_LISTED_FILES));
    }
    if let Some(directory) = &circle.functions {
        match unreadable_functions(directory) {
            Ok(unreadable) => errors.extend(unreadable.into_iter().map(|what| at("functions", what))),
            Err(error) => {
                errors.push(at("functions", format!("cannot read {}: {}", directory.display(), os_error_text(&error))));
            }
        }
    }
    if let Some(tls) = &circle.tls
        && let Err(error) = TlsCertificate::from_files(&tls.cert, &tls.key)
    {
        errors.push(at("tls", error.to_string()));
    }
    if let Some(why) = circle.identity.as_deref().and_then(unusable_identity) {
        errors.push(at("identity", why));
    }
    errors.extend(find_store_error(circle).map(|why| at("store", why)));
    errors.extend(find_pool_error(circle).map(|error| at("worker_pool", error.to_string())));
    errors
}

/// Returns what is wrong with the connection to NATS, its files included.
fn find_pool_error(circle: &launcher::CircleConfig) -> Option<NatsConfigError> {
    let settings = circle.worker_pool.as_ref()?;
    NatsConfig::new(settings).and_then(|config| config.check_files()).err()
}

/// Returns a warning if the connection to NATS may have no TLS.
fn find_pool_warning(circle: &launcher::CircleConfig) -> Option<String> {
    let config = NatsConfig::new(circle.worker_pool.as_ref()?).ok()?;
    let servers: Vec<&str> = config.servers_without_tls().collect();
    (!servers.is_empty()).then(|| {
        format!(
            "anyone on the way to {} can read and change scripts and their results, because NATS may answer without TLS: \
             write tls://, or set \"ca\"",
            servers.join(", ")
        )
    })
}

/// Returns the largest number of workers for functions, and their memory in MiB; `None` for a circle without functions.
fn function_workers(circle: &launcher::CircleConfig) -> Option<(u64, u64)> {
    circle.functions.as_ref()?;
    let workers = circle.limits.function_workers.saturating_mul(CALLER_GROUPS as u64);
    Some((workers, workers.saturating_mul(circle.limits.memory_mib)))
}

/// Returns which files of functions cannot be read, and why: the first few of them.
fn unreadable_functions(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rhai") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    let unreadable = files.iter().filter_map(|file| {
        let error = File::open(file).err()?;
        Some(format!("cannot read {}: {}", file.display(), os_error_text(&error)))
    });
    Ok(unreadable.take(MAX_LISTED_FILES).collect())
}

/// Finds rights that an operator may not intend to grant; each warning has its place in the file.
fn find_warnings(circle: &launcher::CircleConfig, pointer: &ConfigLocator) -> Vec<String> {
    let control = circle.roles.clone().and_then(|roles| AccessControl::new(roles).ok());
    let anonymous = control.as_ref().and_then(AccessControl::anonymous);
    let Some(role) = anonymous.filter(|role| role.may_call_all()) else { return Vec::new() };
    let message = format!(
        "anyone may call every function, those added later included, because the role '{}' has \"*\" in \"call\": list the \
         functions that anyone may call",
        role.name()
    );
    vec![pointer.error_at(&circle.name, "anyone", message).to_string()]
}

/// Returns the risks to the file of the store; each warning has its place in the file.
fn store_warnings(circle: &launcher::CircleConfig, pointer: &ConfigLocator) -> Vec<String> {
    let to_text = |StoreWarning { what, why, fix }: StoreWarning| {
        pointer.error_at(&circle.name, "store", format!("{what}: {why}; {fix}")).to_string()
    };
    find_store_warnings(circle).into_iter().map(to_text).collect()
}

/// Returns a warning of each function that anyone may call with values of any type.
fn untyped_functions(circle: &launcher::CircleConfig, pointer: &ConfigLocator, built: &Circle) -> Vec<String> {
    let warning = |name: String| {
        let message = format!(
            "anyone may call the function {name}, which does not declare the types of its parameters and its result: add \
             @param and @returns to its doc comment"
        );
        pointer.error_at(&circle.name, "functions", message).to_string()
    };
    built.untyped_functions_of_anyone().into_iter().map(warning).collect()
}

/// Returns why the identity file can be neither read nor made.
fn unusable_identity(file: &Path) -> Option<String> {
    match identity_file::load(file) {
        Ok(_) => None,
        Err(IdentityFileError::Missing { .. }) => {
            let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
            let directory = directory.unwrap_or(Path::new("."));
            let error = access(directory, Permission::WRITE_OK | Permission::EXEC_OK).err()?;
            Some(format!("cannot make {}: {}", file.display(), os_error_text(&error.into())))
        }
        Err(error) => {
            let ErrorParts { why, fix, .. } = CliError::from(error).parts();
            Some(if fix.is_empty() { why } else { format!("{why}; {fix}") })
        }
    }
}

fn unusable_text(unusable: &port::PortError) -> String {
    let what = match unusable {
        port::PortError::System(error) => os_error_text(error),
        other => other.to_string(),
    };
    match unusable.advice() {
        advice if advice.is_empty() => what,
        advice => format!("{what}; {advice}"),
    }
}

/// Checks that the directory of logs is writable.
fn check_log_directory(files: &SupervisorFiles) -> Result<(), CliError> {
    access(files.logs(), Permission::WRITE_OK | Permission::EXEC_OK).map_err(|error| {
        let fix = "make it writable, or set XDG_STATE_HOME to a directory that is";
        CliError::io(format!("cannot write logs in {}", files.logs().display()), &error.into(), fix)
    })
}

/// Checks that an existing log is writable. Creates nothing.
fn check_log_file(path: &Path) -> Result<(), CliError> {
    match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(CliError::io(
            format!("cannot write the log {}", path.display()),
            &error,
            "make it writable, or move it",
        )),
        _ => Ok(()),
    }
}

/// Runs the init script as the circle would, without starting the circle.
pub(crate) async fn check_init_script(circle: &launcher::CircleConfig) -> Result<Circle, CliError> {
    let cannot = |why: String| CliError::usage(format!("the circle '{}' cannot start", circle.name), why, "");
    let mut builder = Circle::builder(&circle.name).limits(circle.limits.clone());
    if let Some(modules) = &circle.modules {
        builder = builder.modules(modules.canonicalize().map_err(|error| cannot(error.to_string()))?);
    }
    if let Some(file) = &circle.init {
        builder = builder.init(script::load_init(file)?);
    }
    if let (Some(roles), Some(functions)) = (&circle.roles, &circle.functions) {
        builder = builder.roles(roles.clone()).functions(functions);
    }
    if circle.store.is_some() {
        // The scripts see the modules of a store, and the file stays as it is.
        builder = builder.store(StoreLocation::Memory);
    }
    let built = builder.build().map_err(|error| cannot(error.to_string()))?;
    server_ws::check(&built).await.map_err(|error| match (error.kind(), &circle.init) {
        (ErrorKind::InvalidData, Some(file)) => {
            script::init_script_error(format!("the circle '{}' cannot start", circle.name), file, &error)
        }
        _ => cannot(error.to_string()),
    })?;
    Ok(built)
}
