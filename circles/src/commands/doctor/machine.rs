//! Checks of this machine: sandbox, open files, terminal, programs, directories.

use std::{
    env::{split_paths, var, var_os},
    ffi::OsStr,
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Resource, getrlimit};
use tokio::time::timeout;
use worker::{ForkServer, Layer, Play, Program, WorkerEvent, WorkerSetup};

use super::{
    finding::{Finding, Section, Severity},
    permissions::{check_directory, check_private, list_files},
};
use console::history;
use frontend::{error::os_error_text, supervisor};
use terminal::{
    output::{self, Paint},
    programs::{EDITOR, PAGER, ProgramChoice},
};

/// Longest time for a worker to start and to play an empty script.
const WORKER_TIMEOUT: Duration = Duration::from_secs(2);

/// Limit of open files below which a circle cannot serve a thousand connections with workers.
const RECOMMENDED_OPEN_FILES: u64 = 4096;

/// Exit code of errors found here.
const SETUP_EXIT_CODE: u8 = 2;

/// Checks the sandbox layers of a worker. Starts one for that, which plays an empty script and ends.
pub(super) async fn sandbox() -> Finding {
    let fault = |why: String| {
        let fix = "circles cannot run scripts here; docs/security.md says what they need";
        Section::Machine.finding(Severity::Error(SETUP_EXIT_CODE), "cannot start a worker", why, fix)
    };
    let layers = match timeout(WORKER_TIMEOUT, layers()).await {
        Err(_) => return fault(format!("no answer within {} s", WORKER_TIMEOUT.as_secs())),
        Ok(Err(why)) => return fault(why),
        Ok(Ok(layers)) => layers,
    };
    let missing = |layer, what: &str| {
        let fix = "docs/security.md explains the risk; a circle that is not on loopback refuses to start";
        (!layers.contains(&layer)).then(|| {
            Section::Machine.warning(
                format!("scripts are not fully isolated from the system: layer '{what}' is missing"),
                NOT_SUPPORTED,
                fix,
            )
        })
    };
    missing(Layer::Syscalls, "syscalls").or_else(|| missing(Layer::Memory, "memory")).unwrap_or_else(|| {
        Section::Machine.ok(if layers.contains(&Layer::Network) {
            "the sandbox for scripts is complete: process, memory, syscalls (seccomp), network"
        } else {
            "the sandbox for scripts works: process, memory, syscalls (seccomp); layer 'network' is missing, \
             because the system refuses a network namespace"
        })
    })
}

const NOT_SUPPORTED: &str = "this system does not support it";

async fn layers() -> Result<Vec<Layer>, String> {
    let setup = WorkerSetup::default();
    // From a fork server, as in a circle.
    let fork_server = ForkServer::start(Program::SameExecutable, setup).await.map_err(|error| os_error_text(&error))?;
    let mut worker = fork_server.start_worker().await.map_err(|error| os_error_text(&error))?;
    worker.play(&Play { number: 1, script: "()", name: None, bind: None });
    loop {
        match worker.event().await {
            WorkerEvent::Done { .. } => return Ok(worker.layers().unwrap_or_default().to_vec()),
            WorkerEvent::Lost(loss) => return Err(format!("its process ended: {loss:?}").to_lowercase()),
            _ => {}
        }
    }
}

pub(super) fn examine() -> Vec<Finding> {
    let mut findings = vec![open_files()];
    findings.extend(terminal());
    findings.push(program("editor", &EDITOR));
    findings.push(program("pager", &PAGER));
    findings.extend(directories());
    findings
}

fn open_files() -> Finding {
    // `serve` raises its limit to the hard limit.
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < RECOMMENDED_OPEN_FILES => Section::Machine.warning(
            format!("a process may have only {most} open files"),
            "that limits a circle: each connection needs 1 file, each worker 3 or 4",
            "raise the hard limit: ulimit -Hn, or LimitNOFILE= of the service",
        ),
        Some(most) => Section::Machine.ok(format!("a process may have {most} open files")),
        None => Section::Machine.ok("a process may have any number of open files"),
    }
}

fn terminal() -> Vec<Finding> {
    let name = var("TERM").unwrap_or_default();
    let first = if !std::io::stdout().is_terminal() {
        Section::Machine.ok("the output is not a terminal")
    } else if matches!(name.as_str(), "" | "dumb") {
        let what = if name.is_empty() { "TERM is not set" } else { "TERM is dumb" };
        let why = "line editing has no keys, and the TUI cannot draw";
        Section::Machine.warning(what, why, "export TERM=xterm-256color")
    } else {
        let size = output::stdout_size().map_or(String::new(), |(columns, rows)| format!(", {columns} by {rows}"));
        let colours = if Paint::for_stdout().is_on() { "in colour" } else { "without colours" };
        Section::Machine.ok(format!("the terminal is {name}{size}, {colours}"))
    };
    let locale = locale();
    let second = match &locale {
        Some(locale) if is_utf8(locale) => Section::Machine.ok(format!("the locale is {locale}")),
        _ => Section::Machine.warning(
            format!("the locale is {}, which is not UTF-8", locale.as_deref().unwrap_or("C")),
            "the terminal shows wrong characters for frames and marks",
            "export LANG=C.UTF-8",
        ),
    };
    vec![first, second]
}

/// The locale of character encoding, chosen as in the C library.
pub(super) fn locale() -> Option<String> {
    ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| var(name).ok().filter(|value| !value.is_empty()))
}

pub(super) fn is_utf8(locale: &str) -> bool {
    let encoding = locale.to_ascii_lowercase();
    encoding.contains("utf-8") || encoding.contains("utf8")
}

/// Checks a program that an environment variable selects; the default is the first installed one of the usual programs.
fn program(what: &str, program: &ProgramChoice) -> Finding {
    let ProgramChoice { variables, defaults } = program;
    let default = defaults.iter().find(|program| find_on_path(program).is_some()).copied().unwrap_or(defaults[0]);
    let chosen = program.from_env();
    let (command, source) = match &chosen {
        Some((name, command)) => (command.as_str(), format!("${name}")),
        None => (default, "by default".into()),
    };
    // A shell runs the command with its arguments; the first word is the program.
    let executable = command.split_whitespace().next().unwrap_or_default();
    if find_on_path(executable).is_some() {
        return Section::Machine.ok(format!("the {what} is {command} ({source})"));
    }
    let variable = chosen.as_ref().map_or(variables[variables.len() - 1], |(name, _)| *name);
    Section::Machine.warning(
        format!("the {what} {command} ({source}) is not found"),
        "there is no such program on PATH",
        format!("export {variable}=PROGRAM"),
    )
}

fn find_on_path(program: &str) -> Option<PathBuf> {
    let is_there = |path: &Path| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    if program.is_empty() {
        return None;
    }
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| is_there(path));
    }
    let paths = var_os("PATH")?;
    split_paths(&paths).map(|directory| directory.join(OsStr::new(program))).find(|path| is_there(path))
}

fn directories() -> Vec<Finding> {
    let supervisor::Directories { run, state } = supervisor::find_directories();
    let mut findings = Vec::new();
    if let Some(histories) = history::default_directory() {
        findings.push(check_directory(Section::Machine, "inputs (the history)", &histories, SETUP_EXIT_CODE));
        findings.extend(check_private(
            Section::Machine,
            &list_files(&histories),
            "it contains what you typed",
            SETUP_EXIT_CODE,
        ));
    }
    findings.push(check_directory(Section::Machine, "logs", &state.join("logs"), SETUP_EXIT_CODE));
    findings.push(check_directory(Section::Machine, "sockets", &run, SETUP_EXIT_CODE));
    findings
}
