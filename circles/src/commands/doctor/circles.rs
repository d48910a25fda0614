//! Checks of circles.json, its supervisor and each circle: as configured, and as they answer.

mod certificate;
mod probe;
#[cfg(test)]
mod tests;
mod worker_pools;

use std::{path::Path, sync::Arc, time::Duration};

use launcher::{
    CircleConfig, CircleState, CircleStatus, ConfigLocator, Statuses, control::ControlError,
    supervisor_files::SupervisorFiles,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use self::probe::{CircleProbe, probe};
use super::finding::{Finding, Section, Severity};
use crate::{
    cli::ConfigArgs,
    commands::{
        check::{check_init_script, find_errors},
        status::{StoreProblem, is_full_sandbox},
        store::file::find_store_warnings,
    },
};
use frontend::{
    config,
    error::{CliError, ErrorParts},
    files, supervisor,
    target::{self, CircleTarget, TargetKind},
};

/// Longest wait for an answer of a circle or of the supervisor.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time for the init scripts of all circles that are down.
const INIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest numbers of circles that are probed, and of init scripts that are run, at the same time.
const MAX_CONCURRENT_PROBES: usize = 128;
const MAX_CONCURRENT_INITS: usize = 4;

/// Exit code of a circle that should be up but is not.
const NOT_UP_EXIT_CODE: u8 = 3;

/// Exit code of an invalid configuration.
const CONFIG_EXIT_CODE: u8 = 2;

/// The supervisor of the user's circles, if one runs.
enum SupervisorInfo {
    None,
    Running(Statuses),
    Unknown,
}

/// Builds commands that fix problems, with the user's `--config`.
struct CommandHints {
    suffix: String,
}

impl CommandHints {
    fn of(args: &ConfigArgs) -> Self {
        Self { suffix: files::config_flag(args.path()) }
    }

    fn run(&self, what: &str) -> String {
        format!("circles {what}{}", self.suffix)
    }
}

impl SupervisorInfo {
    fn status(&self, circle: &CircleConfig) -> Option<&CircleStatus> {
        match self {
            Self::Running(statuses) => statuses.circles.iter().find(|status| status.name == circle.name),
            Self::None | Self::Unknown => None,
        }
    }
}

pub(super) async fn examine(args: &ConfigArgs) -> Vec<Finding> {
    let (commands, path) = (CommandHints::of(args), config::path(args.path()));
    let path = match path {
        Ok(path) => path,
        Err(error) => {
            let mut findings = vec![missing_config(&error)];
            findings.extend(default_target_findings(args).await);
            return findings;
        }
    };
    let loaded = launcher::load(&path);
    let (supervisor_info, supervisor_findings) = query_supervisor(&path, &commands).await;
    let mut findings = Vec::new();
    match &loaded {
        Err(error) => findings.push(Section::Config.finding(
            Severity::Error(CONFIG_EXIT_CODE),
            error.to_string(),
            "",
            format!("fix it; {} shows where", commands.run("check")),
        )),
        Ok(circles) => {
            let path = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
            findings.push(Section::Config.ok(match circles.len() {
                1 => format!("{} lists 1 circle", path.display()),
                count => format!("{} lists {count} circles", path.display()),
            }));
        }
    }
    let Ok(circles) = loaded else {
        findings.extend(supervisor_findings);
        return findings;
    };
    let answers = probe_circles(circles.iter().map(|circle| url(circle, &supervisor_info)), Some(&path)).await;
    // Concurrently: both wait, for scripts and for NATS.
    let (of_machine, of_pools) = tokio::join!(
        check_machine(&path, &circles, &supervisor_info, &answers, &commands),
        worker_pools::examine(
            circles.iter().zip(&answers).map(|(circle, answer)| (circle, answer.is_of(&circle.name)))
        ),
    );
    findings.extend(of_machine);
    if let SupervisorInfo::Running(Statuses { refused: Some(refused), .. }) = &supervisor_info {
        let fix = commands.run("reload");
        findings.push(Section::Config.warning(
            "it has an error; the supervisor still uses the previous version",
            refused,
            fix,
        ));
    }
    findings.extend(supervisor_findings);
    findings.extend(
        circles
            .iter()
            .zip(&answers)
            .flat_map(|(circle, answer)| circle_findings(circle, &supervisor_info, answer, &commands)),
    );
    for finding in of_pools {
        // The status of a running circle may have it already.
        if findings.iter().all(|other| other.as_json() != finding.as_json()) {
            findings.push(finding);
        }
    }
    findings.extend(default_target_findings(args).await);
    findings
}

/// The current URL of a circle; `None` for a circle on a free port that is not ready.
fn url(circle: &CircleConfig, supervisor_info: &SupervisorInfo) -> Option<String> {
    if circle.address.port() != 0 {
        return Some(circle.url());
    }
    supervisor_info.status(circle).filter(|status| status.state == CircleState::Ready).map(|status| status.url.clone())
}

fn missing_config(error: &CliError) -> Finding {
    let parts = error.parts();
    let fix = "write one to run circles in the background: circles init";
    Section::Config.warning(parts.what, parts.why, fix)
}

/// Queries the supervisor; returns its answer and the findings about the supervisor itself.
async fn query_supervisor(path: &Path, commands: &CommandHints) -> (SupervisorInfo, Vec<Finding>) {
    let directories = supervisor::find_directories();
    let Ok(files) = SupervisorFiles::open(path, &directories.run, &directories.state) else {
        // The missing file is a finding already.
        return (SupervisorInfo::Unknown, Vec::new());
    };
    let unknown = |why: String| {
        let fix = format!("find out what blocks it, kill it, and start again: {}", commands.run("up"));
        let fault =
            Section::Circles.finding(Severity::Error(NOT_UP_EXIT_CODE), "the supervisor does not answer", why, fix);
        (SupervisorInfo::Unknown, vec![fault])
    };
    match timeout(ANSWER_TIMEOUT, supervisor::connect_with_status(&files)).await {
        Err(_) => unknown(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())),
        Ok(Err(ControlError::Disconnected) | Ok(None)) => (SupervisorInfo::None, Vec::new()),
        Ok(Err(ControlError::Place(error))) => {
            let ErrorParts { what, why, fix } = CliError::from(error).parts();
            (SupervisorInfo::Unknown, vec![Section::Circles.finding(Severity::Error(NOT_UP_EXIT_CODE), what, why, fix)])
        }
        Ok(Err(error)) => unknown(error.to_string()),
        Ok(Ok(Some((_, statuses)))) => {
            let how = if statuses.is_ending {
                Section::Circles.warning(
                    "the supervisor is shutting down",
                    "",
                    format!("when it has ended: {}", commands.run("up")),
                )
            } else {
                Section::Circles.ok("the supervisor runs")
            };
            (SupervisorInfo::Running(statuses), vec![how])
        }
    }
}

/// Probes circles; returns the answers in the order of the URLs.
async fn probe_circles(urls: impl Iterator<Item = Option<String>>, config: Option<&Path>) -> Vec<CircleProbe> {
    let (mut probes, permits) = (JoinSet::new(), Arc::new(Semaphore::new(MAX_CONCURRENT_PROBES)));
    let mut answers = Vec::new();
    for (index, url) in urls.enumerate() {
        answers.push(CircleProbe::None("it was not probed".into()));
        let (Some(url), permits, config) = (url, permits.clone(), config.map(Path::to_owned)) else { continue };
        probes.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (index, probe(url, config.as_deref(), ANSWER_TIMEOUT).await)
        });
    }
    while let Some(finished) = probes.join_next().await {
        if let Ok((index, answer)) = finished {
            answers[index] = answer;
        }
    }
    answers
}

/// Finds what prevents stopped circles from starting on this machine.
async fn check_machine(
    path: &Path,
    circles: &[CircleConfig],
    supervisor_info: &SupervisorInfo,
    answers: &[CircleProbe],
    commands: &CommandHints,
) -> Vec<Finding> {
    let check = format!("{} shows where", commands.run("check"));
    let pointer = match ConfigLocator::load(path) {
        Ok(pointer) => pointer,
        Err(error) => return vec![Section::Config.error(&error.into(), &check)],
    };
    let own_pids: Vec<u32> = match supervisor_info {
        SupervisorInfo::Running(statuses) => statuses.circles.iter().filter_map(|circle| circle.pid).collect(),
        SupervisorInfo::None | SupervisorInfo::Unknown => Vec::new(),
    };
    let stopped_circles =
        || circles.iter().zip(answers).filter(|(circle, answer)| !answer.is_of(&circle.name)).map(|one| one.0);
    let mut findings: Vec<Finding> = stopped_circles()
        .flat_map(|circle| find_errors(circle, &pointer, &own_pids))
        .map(|mistake| Section::Config.error(&mistake, &check))
        .collect();
    findings.extend(circles.iter().flat_map(|circle| certificate::findings(circle, commands)));
    let warnings = circles.iter().flat_map(find_store_warnings);
    findings.extend(warnings.map(|warning| Section::Config.warning(warning.what, warning.why, warning.fix)));
    findings.extend(check_init_scripts(stopped_circles(), &commands.run("check")).await);
    findings
}

/// Runs the init scripts and evaluates the function files of circles as the circles would, with one timeout for all.
async fn check_init_scripts<'a>(circles: impl Iterator<Item = &'a CircleConfig>, check: &str) -> Vec<Finding> {
    let (mut runs, permits) = (JoinSet::new(), Arc::new(Semaphore::new(MAX_CONCURRENT_INITS)));
    let with_scripts = circles.filter(|circle| match &circle.init {
        Some(init) => init.is_file(),
        None => circle.functions.is_some(),
    });
    for circle in with_scripts {
        let (circle, permits) = (circle.clone(), permits.clone());
        runs.spawn(async move {
            let _permit = permits.acquire_owned().await;
            check_init_script(&circle).await
        });
    }
    let mut findings = Vec::new();
    let until = Instant::now() + INIT_TIMEOUT;
    loop {
        match timeout_at(until, runs.join_next()).await {
            Ok(None) => break,
            Ok(Some(Ok(Err(error)))) => findings.push(Section::Config.error(&error, check)),
            Ok(Some(_)) => {}
            // Dropping the set ends the remaining scripts.
            Err(_) => {
                let why = format!("they have not finished after {} s", INIT_TIMEOUT.as_secs());
                findings.push(Section::Config.warning("cannot check all init scripts and functions", why, check));
                break;
            }
        }
    }
    findings
}

/// Findings about a circle: its state in the supervisor, and its answer.
fn circle_findings(
    circle: &CircleConfig,
    supervisor_info: &SupervisorInfo,
    answer: &CircleProbe,
    commands: &CommandHints,
) -> Vec<Finding> {
    let name = &circle.name;
    let status = supervisor_info.status(circle);
    let url = url(circle, supervisor_info).unwrap_or_else(|| circle.url());
    let [logs, up, restart] = ["logs", "up", "restart"].map(|verb| commands.run(&format!("{verb} {name}")));
    let not_up = |what: String, why: &str, fix: String| {
        Section::Circles.finding(Severity::Error(NOT_UP_EXIT_CODE), what, why, fix)
    };
    let why = |status: &CircleStatus| status.why.clone().unwrap_or_default();
    let mut findings = vec![match (status, status.map(|status| status.state), answer) {
        (Some(_), Some(CircleState::Ready), CircleProbe::None(reason)) => not_up(
            format!("{name} is up but does not answer at {url}"),
            reason,
            format!("{restart}; {logs} may say why"),
        ),
        (Some(status), Some(CircleState::Failed), _) => {
            not_up(format!("{name} has failed"), &why(status), format!("see {logs}; then {up}"))
        }
        (Some(status), Some(CircleState::BackingOff), _) => {
            not_up(format!("{name} ended and is restarting"), &why(status), logs.clone())
        }
        (Some(status), Some(CircleState::Starting), _) => {
            Section::Circles.warning(format!("{name} is starting"), why(status), commands.run("status --watch"))
        }
        (Some(_), Some(CircleState::Draining), _) => {
            Section::Circles.warning(format!("{name} is draining"), "", format!("when it has ended: {up}"))
        }
        (_, _, CircleProbe::Circle { name: there, access, .. }) if there == name => {
            let whose = if status.is_some() { "" } else { ", not under your supervisor" };
            Section::Circles.ok(format!("{name} is up at {url}{whose}; access: {access}"))
        }
        (_, _, CircleProbe::Circle { name: there, .. }) => Section::Circles.warning(
            format!("{name} is down, and another circle uses {url}"),
            format!("its name is '{there}'"),
            "change the port of one of them",
        ),
        (_, _, CircleProbe::None(_)) => {
            let why = status.map(why).unwrap_or_default();
            // A circle that nobody has started is no problem.
            let level = if why.is_empty() { Severity::Ok } else { Severity::Warning };
            Section::Circles.finding(level, format!("{name} is down"), why, up)
        }
    }];
    if let Some(refused) = status.and_then(|status| status.refused.as_ref()) {
        findings.push(Section::Circles.finding(
            Severity::Error(CONFIG_EXIT_CODE),
            format!("{name} keeps its previous configuration"),
            refused,
            format!("fix circles.json; then {}", commands.run("reload")),
        ));
    }
    let pool = status.and_then(|status| status.worker_pool.as_deref());
    findings.extend(pool.into_iter().flat_map(|pool| worker_pools::name_findings(name, pool)));
    findings.extend(status.and_then(StoreProblem::find).map(|problem| {
        let level = if problem.is_failure { Severity::Error(NOT_UP_EXIT_CODE) } else { Severity::Warning };
        Section::Circles.finding(level, format!("{name}: {}", problem.what), "", problem.fix)
    }));
    if let CircleProbe::Circle { name: there, access, sandbox } = answer
        && there == name
    {
        if *access != circle.access {
            findings.push(Section::Circles.warning(
                format!("the access of {name} is {access}"),
                format!("circles.json says {}", circle.access),
                restart,
            ));
        }
        if !is_full_sandbox(sandbox) {
            findings.push(Section::Circles.warning(
                format!("the scripts of {name} are not fully isolated from the system"),
                match sandbox.as_slice() {
                    [] => "no sandbox layer is active".into(),
                    layers => format!("active layers: only {}", layers.join(", ")),
                },
                "docs/security.md explains the risk",
            ));
        }
    }
    findings
}

/// Findings about the default circles in `CIRCLES_CIRCLE`. Those in circles.json were probed before.
async fn default_target_findings(args: &ConfigArgs) -> Vec<Finding> {
    let all = target::argument_or_env(None).unwrap_or_default();
    let parsed: Vec<_> =
        all.split(',').filter(|target| !target.is_empty()).map(|target| target::parse(target, args.path())).collect();
    let address = |found: &CircleTarget| matches!(found.kind, TargetKind::Address(_)).then(|| found.url.to_string());
    let answers = probe_circles(parsed.iter().map(|found| found.as_ref().ok().and_then(address)), args.path()).await;
    let finding = |(found, answer): (Result<CircleTarget, CliError>, CircleProbe)| match (found, answer) {
        (Err(error), _) => Section::Circles.error(&error, "unset CIRCLES_CIRCLE"),
        (Ok(found), CircleProbe::Circle { name, access, .. }) => {
            Section::Circles.ok(format!("CIRCLES_CIRCLE is {}: the circle '{name}'; access: {access}", found.label()))
        }
        (Ok(found), CircleProbe::None(_)) if address(&found).is_none() => {
            Section::Circles.ok(format!("CIRCLES_CIRCLE is {}, which is in circles.json", found.label()))
        }
        (Ok(found), CircleProbe::None(reason)) => Section::Circles.warning(
            format!("CIRCLES_CIRCLE is {}, which does not answer", found.label()),
            reason,
            "start the circle, or unset CIRCLES_CIRCLE",
        ),
    };
    parsed.into_iter().zip(answers).map(finding).collect()
}
