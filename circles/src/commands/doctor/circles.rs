//! circles.json, its supervisor, and each circle: as they are told to be, and as they answer.

mod probe;

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
use super::finding::{Finding, Section, Severity, quoted};
use crate::{
    cli::ConfigArgs,
    commands::{
        check::{check_init_script, find_errors},
        status::is_full_sandbox,
    },
};
use frontend::{
    config,
    error::{CliError, ErrorParts},
    supervisor,
    target::{self, CircleTarget, TargetKind},
};

/// How long a circle or the supervisor may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the init scripts of all circles may take that do not run.
const INIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Circles that are dialled, and init scripts that are tried, at the same time.
const MAX_CONCURRENT_PROBES: usize = 128;
const MAX_CONCURRENT_INITS: usize = 4;

/// The exit code of a circle that should be up and is not.
const NOT_UP_EXIT_CODE: u8 = 3;

/// That of one which cannot be as it is told to be.
const CONFIG_EXIT_CODE: u8 = 2;

/// Where this user's circles are kept up, if anywhere.
enum SupervisorInfo {
    None,
    Running(Statuses),
    Unknown,
}

/// Commands that mend something, with the `--config` that was given.
struct CommandHints {
    suffix: String,
}

impl CommandHints {
    fn of(args: &ConfigArgs) -> Self {
        let suffix = args.config.as_ref().map_or(String::new(), |path| format!(" --config {}", quoted(path)));
        Self { suffix }
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
    let (kept, findings_of_supervisor) = query_supervisor(&path, &commands).await;
    let mut findings = Vec::new();
    match &loaded {
        Err(error) => findings.push(Section::Config.finding(
            Severity::Error(CONFIG_EXIT_CODE),
            error.to_string(),
            "",
            format!("mend it; {} points at it", commands.run("check")),
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
        findings.extend(findings_of_supervisor);
        return findings;
    };
    let answers = probe_circles(circles.iter().map(|circle| url(circle, &kept)), Some(&path)).await;
    findings.extend(check_machine(&path, &circles, &kept, &answers, &commands).await);
    if let SupervisorInfo::Running(Statuses { refused: Some(refused), .. }) = &kept {
        let fix = commands.run("reload");
        findings.push(Section::Config.warning("the supervisor has not taken it over", refused, fix));
    }
    findings.extend(findings_of_supervisor);
    findings.extend(
        circles.iter().zip(&answers).flat_map(|(circle, answer)| circle_findings(circle, &kept, answer, &commands)),
    );
    findings.extend(default_target_findings(args).await);
    findings
}

/// Where it is now; nowhere, as far as anyone knows, if it takes a free port and does not run.
fn url(circle: &CircleConfig, kept: &SupervisorInfo) -> Option<String> {
    if circle.address.port() != 0 {
        return Some(circle.url());
    }
    kept.status(circle).filter(|status| status.state == CircleState::Ready).map(|status| status.url.clone())
}

fn missing_config(error: &CliError) -> Finding {
    let parts = error.parts();
    let fix = "write one, if circles are to stay up: docs/operating.md shows how";
    Section::Config.warning(parts.what, parts.why, fix)
}

/// What the supervisor says, and what there is to say of it.
async fn query_supervisor(path: &Path, commands: &CommandHints) -> (SupervisorInfo, Vec<Finding>) {
    let directories = supervisor::find_directories();
    let Ok(place) = SupervisorFiles::open(path, &directories.run, &directories.state) else {
        // There is no such file, which was said already.
        return (SupervisorInfo::Unknown, Vec::new());
    };
    let unknown = |why: String| {
        let fix = format!("see what holds it up, end it, and start anew: {}", commands.run("up"));
        let fault =
            Section::Circles.finding(Severity::Error(NOT_UP_EXIT_CODE), "the supervisor does not answer", why, fix);
        (SupervisorInfo::Unknown, vec![fault])
    };
    match timeout(ANSWER_TIMEOUT, supervisor::connect_with_status(&place)).await {
        Err(_) => unknown(format!("not within {} s", ANSWER_TIMEOUT.as_secs())),
        Ok(Err(ControlError::Disconnected) | Ok(None)) => (SupervisorInfo::None, Vec::new()),
        Ok(Err(ControlError::Place(error))) => {
            let ErrorParts { what, why, fix } = CliError::from(error).parts();
            (SupervisorInfo::Unknown, vec![Section::Circles.finding(Severity::Error(NOT_UP_EXIT_CODE), what, why, fix)])
        }
        Ok(Err(error)) => unknown(error.to_string()),
        Ok(Ok(Some((_, statuses)))) => {
            let how = if statuses.is_ending {
                Section::Circles.warning("the supervisor is ending", "", format!("once it has: {}", commands.run("up")))
            } else {
                Section::Circles.ok("the supervisor runs")
            };
            (SupervisorInfo::Running(statuses), vec![how])
        }
    }
}

/// How each circle answers, in their order.
async fn probe_circles(urls: impl Iterator<Item = Option<String>>, config: Option<&Path>) -> Vec<CircleProbe> {
    let (mut asking, room) = (JoinSet::new(), Arc::new(Semaphore::new(MAX_CONCURRENT_PROBES)));
    let mut answers = Vec::new();
    for (index, url) in urls.enumerate() {
        answers.push(CircleProbe::None("it was not asked".into()));
        let (Some(url), room, config) = (url, room.clone(), config.map(Path::to_owned)) else { continue };
        asking.spawn(async move {
            let _room = room.acquire_owned().await;
            (index, probe(url, config.as_deref(), ANSWER_TIMEOUT).await)
        });
    }
    while let Some(asked) = asking.join_next().await {
        if let Ok((index, answer)) = asked {
            answers[index] = answer;
        }
    }
    answers
}

/// What this machine has against circles that do not run. One that runs shows that it has nothing.
async fn check_machine(
    path: &Path,
    circles: &[CircleConfig],
    kept: &SupervisorInfo,
    answers: &[CircleProbe],
    commands: &CommandHints,
) -> Vec<Finding> {
    let check = format!("{} points at it", commands.run("check"));
    let pointer = match ConfigLocator::load(path) {
        Ok(pointer) => pointer,
        Err(error) => return vec![Section::Config.error(&error.into(), &check)],
    };
    let ours: Vec<u32> = match kept {
        SupervisorInfo::Running(statuses) => statuses.circles.iter().filter_map(|circle| circle.pid).collect(),
        SupervisorInfo::None | SupervisorInfo::Unknown => Vec::new(),
    };
    let stopped_circles =
        || circles.iter().zip(answers).filter(|(circle, answer)| !answer.is_of(&circle.name)).map(|one| one.0);
    let mut findings: Vec<Finding> = stopped_circles()
        .flat_map(|circle| find_errors(circle, &pointer, &ours))
        .map(|mistake| Section::Config.error(&mistake, &check))
        .collect();
    findings.extend(check_init_scripts(stopped_circles(), &commands.run("check")).await);
    findings
}

/// Runs init scripts as their circles would, within a time for all of them.
async fn check_init_scripts<'a>(circles: impl Iterator<Item = &'a CircleConfig>, check: &str) -> Vec<Finding> {
    let (mut trying, room) = (JoinSet::new(), Arc::new(Semaphore::new(MAX_CONCURRENT_INITS)));
    let with_init = circles.filter(|circle| circle.init.as_deref().is_some_and(Path::is_file));
    for circle in with_init {
        let (circle, room) = (circle.clone(), room.clone());
        trying.spawn(async move {
            let _room = room.acquire_owned().await;
            check_init_script(&circle).await
        });
    }
    let mut findings = Vec::new();
    let until = Instant::now() + INIT_TIMEOUT;
    loop {
        match timeout_at(until, trying.join_next()).await {
            Ok(None) => break,
            Ok(Some(Ok(Err(error)))) => findings.push(Section::Config.error(&error, check)),
            Ok(Some(_)) => {}
            // What is left of them ends with the set.
            Err(_) => {
                let why = format!("they have not come to an end after {} s", INIT_TIMEOUT.as_secs());
                findings.push(Section::Config.warning("not all init scripts could be tried", why, check));
                break;
            }
        }
    }
    findings
}

/// A circle, as its supervisor has it and as it answers.
fn circle_findings(
    circle: &CircleConfig,
    kept: &SupervisorInfo,
    answer: &CircleProbe,
    commands: &CommandHints,
) -> Vec<Finding> {
    let name = &circle.name;
    let status = kept.status(circle);
    let url = url(circle, kept).unwrap_or_else(|| circle.url());
    let [logs, up, restart] = ["logs", "up", "restart"].map(|verb| commands.run(&format!("{verb} {name}")));
    let not_up = |what: String, why: &str, fix: String| {
        Section::Circles.finding(Severity::Error(NOT_UP_EXIT_CODE), what, why, fix)
    };
    let why = |status: &CircleStatus| status.why.clone().unwrap_or_default();
    let mut findings = vec![match (status, status.map(|status| status.state), answer) {
        (Some(_), Some(CircleState::Ready), CircleProbe::None(reason)) => not_up(
            format!("{name} is up and does not answer at {url}"),
            reason,
            format!("{restart}; {logs} may say why"),
        ),
        (Some(status), Some(CircleState::Failed), _) => {
            not_up(format!("{name} has failed"), &why(status), format!("see {logs}; then {up}"))
        }
        (Some(status), Some(CircleState::BackingOff), _) => {
            not_up(format!("{name} ended and is started again"), &why(status), logs.clone())
        }
        (Some(_), Some(CircleState::Starting), _) => {
            Section::Circles.warning(format!("{name} is being started"), "", commands.run("status --watch"))
        }
        (Some(_), Some(CircleState::Draining), _) => {
            Section::Circles.warning(format!("{name} is ending"), "", format!("once it has: {up}"))
        }
        (_, _, CircleProbe::Circle { name: there, access, .. }) if there == name => {
            let whose = if status.is_some() { "" } else { ", by no supervisor of yours" };
            Section::Circles.ok(format!("{name} is up at {url}{whose}; access: {access}"))
        }
        (_, _, CircleProbe::Circle { name: there, .. }) => Section::Circles.warning(
            format!("{name} is down, and another circle is at {url}"),
            format!("it says that it is '{there}'"),
            "give one of them another port",
        ),
        (_, _, CircleProbe::None(_)) => {
            let why = status.map(why).unwrap_or_default();
            Section::Circles.warning(format!("{name} is down"), why, up)
        }
    }];
    if let Some(refused) = status.and_then(|status| status.refused.as_ref()) {
        findings.push(Section::Circles.finding(
            Severity::Error(CONFIG_EXIT_CODE),
            format!("{name} goes on as it was, not as circles.json has it"),
            refused,
            format!("mend circles.json; then {}", commands.run("reload")),
        ));
    }
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
                format!("the scripts of {name} are not kept from the system"),
                match sandbox.as_slice() {
                    [] => "nothing holds them".into(),
                    layers => format!("what holds is only: {}", layers.join(", ")),
                },
                "docs/security.md says what that means",
            ));
        }
    }
    findings
}

/// Where commands go that name no circle, if that is said. Those of circles.json were asked with the others.
async fn default_target_findings(args: &ConfigArgs) -> Vec<Finding> {
    let all = target::argument_or_env(None).unwrap_or_default();
    let parsed: Vec<_> = all
        .split(',')
        .filter(|findings_of_supervisor| !findings_of_supervisor.is_empty())
        .map(|findings_of_supervisor| target::parse(findings_of_supervisor, args.path()))
        .collect();
    let address = |found: &CircleTarget| matches!(found.kind, TargetKind::Address(_)).then(|| found.url.to_string());
    let answers = probe_circles(parsed.iter().map(|found| found.as_ref().ok().and_then(address)), args.path()).await;
    let finding = |(found, answer): (Result<CircleTarget, CliError>, CircleProbe)| match (found, answer) {
        (Err(error), _) => Section::Circles.error(&error, "unset CIRCLES_CIRCLE"),
        (Ok(found), CircleProbe::Circle { name, access, .. }) => {
            Section::Circles.ok(format!("CIRCLES_CIRCLE says {}: the circle '{name}'; access: {access}", found.label()))
        }
        (Ok(found), CircleProbe::None(_)) if address(&found).is_none() => {
            Section::Circles.ok(format!("CIRCLES_CIRCLE says {}, which is in circles.json", found.label()))
        }
        (Ok(found), CircleProbe::None(reason)) => Section::Circles.warning(
            format!("CIRCLES_CIRCLE says {}, which does not answer", found.label()),
            reason,
            "start it, or unset CIRCLES_CIRCLE",
        ),
    };
    parsed.into_iter().zip(answers).map(finding).collect()
}
