//! circles.json, its supervisor, and each circle: as they are told to be, and as they answer.

mod answer;

use std::{path::Path, sync::Arc, time::Duration};

use launcher::{Circle, CircleStatus, Pointer, State, Statuses, place::Place};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use self::answer::{Answer, ask};
use super::finding::{Finding, Level, Section};
use crate::{
    cli::ConfigArgs,
    commands::{
        check::{mistakes, try_init},
        status::is_full,
    },
    config,
    error::CliError,
    place, supervisor,
};

/// How long a circle or the supervisor may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the init scripts of all circles may take that do not run.
const INIT_PATIENCE: Duration = Duration::from_secs(5);

/// Circles that are dialled, and init scripts that are tried, at the same time.
const ABREAST: usize = 16;
const INITS_ABREAST: usize = 4;

/// The exit code of a circle that should be up and is not.
const NOT_UP: u8 = 3;

/// That of one which cannot be as it is told to be.
const CONFIGURATION: u8 = 2;

/// Where this user's circles are kept up, if anywhere.
enum Kept {
    Nowhere,
    By(Statuses),
    Unknown,
}

pub(super) async fn examine(args: &ConfigArgs) -> Vec<Finding> {
    let path = match config::path(args) {
        Ok(path) => path,
        Err(error) => {
            let mut findings = vec![absent(&error)];
            findings.extend(usual(args, &[]).await);
            return findings;
        }
    };
    let mut findings = Vec::new();
    let circles = match launcher::load(&path) {
        Ok(circles) => circles,
        Err(error) => {
            findings.push(Section::Config.fault(&error.into(), "circles check points at it"));
            Vec::new()
        }
    };
    let is_right = findings.is_empty();
    if is_right {
        let (count, path) = (circles.len(), std::path::absolute(&path).unwrap_or_else(|_| path.clone()));
        let count = if count == 1 { "1 circle".into() } else { format!("{count} circles") };
        findings.push(Section::Config.fine(format!("{} lists {count}", path.display())));
    }
    let (kept, answers) = tokio::join!(kept(&path), answers(&circles));
    let (kept, said) = kept;
    if is_right {
        findings.extend(machine(&path, &circles, &kept, &answers).await);
    }
    if let Kept::By(Statuses { refused: Some(refused), .. }) = &kept
        && is_right
    {
        let fix = "circles reload";
        findings.push(Section::Config.warning("the supervisor has not taken it over", refused, fix));
    }
    findings.extend(said);
    findings.extend(circles.iter().zip(&answers).flat_map(|(circle, answer)| one(circle, &kept, answer)));
    findings.extend(usual(args, &circles).await);
    findings
}

fn absent(error: &CliError) -> Finding {
    let parts = error.parts();
    let fix = "write one, if circles are to stay up: docs/operating.md shows how";
    Section::Config.warning(parts.what, parts.why, fix)
}

/// What the supervisor says, and what there is to say of it.
async fn kept(path: &Path) -> (Kept, Vec<Finding>) {
    let directories = supervisor::directories_as_they_are();
    let Ok(place) = Place::as_it_is(path, &directories.run, &directories.state) else {
        // There is no such file, which was said already.
        return (Kept::Unknown, Vec::new());
    };
    let unknown = |why: String| {
        let fix = "see what holds it up, end it, and start anew: circles up";
        let fault = Section::Circles.found(Level::Fault(NOT_UP), "the supervisor does not answer", why, fix);
        (Kept::Unknown, vec![fault])
    };
    match timeout(PATIENCE, supervisor::answering(&place)).await {
        Err(_) => unknown(format!("not within {} s", PATIENCE.as_secs())),
        Ok(Err(launcher::control::ControlError::Lost) | Ok(None)) => (Kept::Nowhere, Vec::new()),
        Ok(Err(error)) => unknown(error.to_string()),
        Ok(Ok(Some((_, statuses)))) => {
            let how = if statuses.is_ending {
                Section::Circles.warning("the supervisor is ending", "", "circles up, once it has")
            } else {
                Section::Circles.fine("the supervisor runs")
            };
            (Kept::By(statuses), vec![how])
        }
    }
}

/// How each circle answers, in their order.
async fn answers(circles: &[Circle]) -> Vec<Answer> {
    let (mut asking, room) = (JoinSet::new(), Arc::new(Semaphore::new(ABREAST)));
    for (index, circle) in circles.iter().enumerate() {
        let (url, room) = (circle.url(), room.clone());
        asking.spawn(async move {
            let _room = room.acquire_owned().await;
            (index, ask(url, PATIENCE).await)
        });
    }
    let mut answers: Vec<Answer> = circles.iter().map(|_| Answer::None("it was not asked".into())).collect();
    while let Some(asked) = asking.join_next().await {
        if let Ok((index, answer)) = asked {
            answers[index] = answer;
        }
    }
    answers
}

/// What this machine has against circles that do not run. One that runs shows that it has nothing.
async fn machine(path: &Path, circles: &[Circle], kept: &Kept, answers: &[Answer]) -> Vec<Finding> {
    let pointer = match Pointer::of(path) {
        Ok(pointer) => pointer,
        Err(error) => return vec![Section::Config.fault(&error.into(), "circles check points at it")],
    };
    let ours: Vec<u32> = match kept {
        Kept::By(statuses) => statuses.circles.iter().filter_map(|circle| circle.pid).collect(),
        Kept::Nowhere | Kept::Unknown => Vec::new(),
    };
    let still = || circles.iter().zip(answers).filter(|(circle, answer)| !answer.is_of(&circle.name)).map(|one| one.0);
    let mut findings: Vec<Finding> = still()
        .flat_map(|circle| mistakes(circle, &pointer, &ours))
        .map(|mistake| Section::Config.fault(&mistake, "circles check points at it"))
        .collect();
    findings.extend(inits(still()).await);
    findings
}

/// Runs init scripts as their circles would, within a time for all of them.
async fn inits<'a>(circles: impl Iterator<Item = &'a Circle>) -> Vec<Finding> {
    let (mut trying, room) = (JoinSet::new(), Arc::new(Semaphore::new(INITS_ABREAST)));
    let with_init = circles.filter(|circle| circle.init.as_deref().is_some_and(Path::is_file));
    for circle in with_init {
        let (circle, room) = (circle.clone(), room.clone());
        trying.spawn(async move {
            let _room = room.acquire_owned().await;
            try_init(&circle).await
        });
    }
    let mut findings = Vec::new();
    let until = Instant::now() + INIT_PATIENCE;
    loop {
        match timeout_at(until, trying.join_next()).await {
            Ok(None) => break,
            Ok(Some(Ok(Err(error)))) => findings.push(Section::Config.fault(&error, "circles check")),
            Ok(Some(_)) => {}
            // What is left of them ends with the set.
            Err(_) => {
                let why = format!("they have not come to an end after {} s", INIT_PATIENCE.as_secs());
                findings.push(Section::Config.warning("not all init scripts could be tried", why, "circles check"));
                break;
            }
        }
    }
    findings
}

/// A circle, as its supervisor has it and as it answers.
fn one(circle: &Circle, kept: &Kept, answer: &Answer) -> Vec<Finding> {
    let name = &circle.name;
    let status = match kept {
        Kept::By(statuses) => statuses.circles.iter().find(|status| status.name == *name),
        Kept::Nowhere | Kept::Unknown => None,
    };
    let not_up = |what: String, why: &str, fix: String| Section::Circles.found(Level::Fault(NOT_UP), what, why, fix);
    let why = |status: &CircleStatus| status.why.clone().unwrap_or_default();
    let mut findings = vec![match (status, status.map(|status| status.state), answer) {
        (Some(_), Some(State::Ready), Answer::None(reason)) => not_up(
            format!("{name} is up and does not answer at {}", circle.url()),
            reason,
            format!("circles restart {name}; circles logs {name} may say why"),
        ),
        (Some(status), Some(State::Failed), _) => not_up(
            format!("{name} has failed"),
            &why(status),
            format!("see circles logs {name}; then circles up {name}"),
        ),
        (Some(status), Some(State::BackingOff), _) => {
            not_up(format!("{name} ended and is started again"), &why(status), format!("circles logs {name}"))
        }
        (Some(_), Some(State::Starting), _) => {
            Section::Circles.warning(format!("{name} is being started"), "", "circles status --watch")
        }
        (Some(_), Some(State::Draining), _) => {
            Section::Circles.warning(format!("{name} is ending"), "", format!("circles up {name}, once it has"))
        }
        (_, _, Answer::Circle { name: there, access, .. }) if there == name => {
            let whose = if status.is_some() { "" } else { ", by no supervisor of yours" };
            Section::Circles.fine(format!("{name} is up at {}{whose}; access: {access}", circle.url()))
        }
        (_, _, Answer::Circle { name: there, .. }) => Section::Circles.warning(
            format!("{name} is down, and another circle is at {}", circle.url()),
            format!("it says that it is '{there}'"),
            "give one of them another port",
        ),
        (_, _, Answer::None(_)) => {
            let why = status.map(why).unwrap_or_default();
            Section::Circles.warning(format!("{name} is down"), why, format!("circles up {name}"))
        }
    }];
    if let Some(refused) = status.and_then(|status| status.refused.as_ref()) {
        findings.push(Section::Circles.found(
            Level::Fault(CONFIGURATION),
            format!("{name} goes on as it was, not as circles.json has it"),
            refused,
            "mend circles.json; then circles reload",
        ));
    }
    if let Answer::Circle { name: there, access, sandbox } = answer
        && there == name
    {
        if *access != circle.access {
            findings.push(Section::Circles.warning(
                format!("the access of {name} is {access}"),
                format!("circles.json says {}", circle.access),
                format!("circles restart {name}"),
            ));
        }
        if !is_full(sandbox) {
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

/// Where commands go that name no circle.
async fn usual(args: &ConfigArgs, circles: &[Circle]) -> Option<Finding> {
    let asked = place::asked(None)?;
    let url = match place::parse(&asked, args) {
        Ok(url) => url,
        Err(error) => return Some(Section::Circles.fault(&error, "unset CIRCLES_CIRCLE")),
    };
    if circles.iter().any(|circle| circle.url() == *url.url) {
        return Some(Section::Circles.fine(format!("CIRCLES_CIRCLE is {asked}")));
    }
    Some(match ask(url.url.into(), PATIENCE).await {
        Answer::Circle { name, access, .. } => {
            Section::Circles.fine(format!("CIRCLES_CIRCLE is {asked}: the circle '{name}'; access: {access}"))
        }
        Answer::None(reason) => Section::Circles.warning(
            format!("CIRCLES_CIRCLE is {asked}, which does not answer"),
            reason,
            "start it, or unset CIRCLES_CIRCLE",
        ),
    })
}
