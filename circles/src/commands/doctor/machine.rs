//! What this machine and this terminal can do, and where files go.

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

/// How long a worker may take to start and to play nothing.
const WORKER_TIMEOUT: Duration = Duration::from_secs(2);

/// Open files with which a circle takes fewer than a thousand connections with their workers.
const RECOMMENDED_OPEN_FILES: u64 = 4096;

/// The exit code of what is wrong here.
const SETUP_EXIT_CODE: u8 = 2;

/// What a worker is kept by here: one is started for it, plays nothing, and ends.
pub(super) async fn sandbox() -> Finding {
    let fault = |why: String| {
        let fix = "circles cannot play here; see docs/security.md for what they need";
        Section::Machine.finding(Severity::Error(SETUP_EXIT_CODE), "a worker cannot be started", why, fix)
    };
    let layers = match timeout(WORKER_TIMEOUT, layers()).await {
        Err(_) => return fault(format!("it has not played after {} s", WORKER_TIMEOUT.as_secs())),
        Ok(Err(why)) => return fault(why),
        Ok(Ok(layers)) => layers,
    };
    let missing = |layer, what: &str| {
        let fix = "docs/security.md says what that means; a circle that is not on loopback refuses to start";
        (!layers.contains(&layer)).then(|| {
            Section::Machine.warning(
                format!("scripts are not kept from the system: no layer '{what}'"),
                NOT_SUPPORTED,
                fix,
            )
        })
    };
    missing(Layer::Syscalls, "syscalls").or_else(|| missing(Layer::Memory, "memory")).unwrap_or_else(|| {
        Section::Machine.ok(if layers.contains(&Layer::Network) {
            "the sandbox for scripts is whole: process, memory, syscalls (seccomp), network"
        } else {
            "the sandbox for scripts holds: process, memory, syscalls (seccomp); no layer 'network', \
             because the system refuses a network namespace"
        })
    })
}

const NOT_SUPPORTED: &str = "this system does not offer it";

async fn layers() -> Result<Vec<Layer>, String> {
    let setup = WorkerSetup { circle: "doctor".into(), ..WorkerSetup::default() };
    // Forked, as those of a circle are.
    let fork_server = ForkServer::start(Program::SameExecutable, setup).await.map_err(|error| os_error_text(&error))?;
    let mut worker = fork_server.start_worker().await.map_err(|error| os_error_text(&error))?;
    worker.play(&Play { number: 1, script: "()", bind: None, caller: None });
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
    // `serve` takes as many as there may be, whatever it was started with.
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < RECOMMENDED_OPEN_FILES => Section::Machine.warning(
            format!("a process may have only {most} open files"),
            "a circle takes fewer connections and workers for it: 1 a connection, 3 or 4 a worker",
            "raise the hard limit: ulimit -Hn, or LimitNOFILE= of the service",
        ),
        Some(most) => Section::Machine.ok(format!("a process may have {most} open files")),
        None => Section::Machine.ok("a process may have any number of open files"),
    }
}

fn terminal() -> Vec<Finding> {
    let name = var("TERM").unwrap_or_default();
    let first = if !std::io::stdout().is_terminal() {
        Section::Machine.ok("the output goes to no terminal")
    } else if matches!(name.as_str(), "" | "dumb") {
        let what = if name.is_empty() { "TERM is not set" } else { "TERM is dumb" };
        let why = "the line is edited without keys, and the TUI cannot draw";
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
            "a terminal of that locale shows frames and marks as other characters",
            "export LANG=C.UTF-8",
        ),
    };
    vec![first, second]
}

/// The locale of characters, as the C library finds it.
pub(super) fn locale() -> Option<String> {
    ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| var(name).ok().filter(|value| !value.is_empty()))
}

pub(super) fn is_utf8(locale: &str) -> bool {
    let encoding = locale.to_ascii_lowercase();
    encoding.contains("utf-8") || encoding.contains("utf8")
}

/// A program that people choose by a variable; otherwise it is the first of the usual ones that is there.
fn program(what: &str, program: &ProgramChoice) -> Finding {
    let ProgramChoice { variables, defaults: usual } = program;
    let usual = usual.iter().find(|program| find_on_path(program).is_some()).copied().unwrap_or(usual[0]);
    let chosen = program.from_env();
    let (command, source) = match &chosen {
        Some((name, command)) => (command.as_str(), format!("${name}")),
        None => (usual, "by default".into()),
    };
    // With its arguments it is for a shell; what it is called comes first.
    let called = command.split_whitespace().next().unwrap_or_default();
    if find_on_path(called).is_some() {
        return Section::Machine.ok(format!("the {what} is {command} ({source})"));
    }
    let variable = chosen.as_ref().map_or(variables[variables.len() - 1], |(name, _)| *name);
    Section::Machine.warning(
        format!("the {what} {command} ({source}) is not found"),
        "it is no program on PATH",
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
            "it holds what was typed",
            SETUP_EXIT_CODE,
        ));
    }
    findings.push(check_directory(Section::Machine, "logs", &state.join("logs"), SETUP_EXIT_CODE));
    findings.push(check_directory(Section::Machine, "sockets", &run, SETUP_EXIT_CODE));
    findings
}
