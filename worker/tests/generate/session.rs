//! One session, and the checks of the outcomes of its scripts.

use std::{path::Path, time::Duration};

use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};
use worker::{
    ErrorKind, EvalOutcome, LimitKind, Loss, ModuleSources, NamedValue, Play, Program, Worker, WorkerEvent,
    WorkerLimits, WorkerSetup,
};

/// Time after which a play is stopped.
const STOP_DELAY: Duration = Duration::from_millis(200);

/// Time after which the worker of a stopped play is killed, because a single operation may take long.
const STOP_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// Upper bound of every wait. Reaching it is a failure.
const PLAY_TIMEOUT: Duration = Duration::from_mins(1);

/// The limits of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    /// Low limits, so that scripts reach each of them.
    Tight,
    /// The default limits, with a limit of operations.
    Usual,
    /// The default limits, with unlimited operations.
    Endless,
}

impl Profile {
    pub(crate) const ALL: &[Self] = &[Self::Tight, Self::Usual, Self::Endless];

    fn limits(self) -> WorkerLimits {
        match self {
            Self::Tight => WorkerLimits {
                operations: Some(50_000),
                output_bytes: 4 << 10,
                call_depth: 16,
                expression_depth: 32,
                string_bytes: 8 << 10,
                array_items: 1000,
                map_items: 100,
                memory_bytes: 4 << 20,
                ..WorkerLimits::default()
            },
            Self::Usual => WorkerLimits { operations: Some(200_000), ..WorkerLimits::default() },
            Self::Endless => WorkerLimits::default(),
        }
    }
}

/// The number of plays by outcome.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    sessions: u64,
    values: u64,
    errors: u64,
    unparsed: u64,
    limited: u64,
    stopped: u64,
    killed: u64,
    out_of_memory: u64,
}

/// Creates the modules for `import`.
pub(crate) fn modules() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let modules = [
        ("one", "fn double(n) { n * 2 } fn twice(f, v) { f.call(f.call(v)) } export const NUMBER = 7;"),
        (
            "two",
            "import \"one\" as o; fn deep(n) { if n < 1 { o::NUMBER } else { deep(n - 1) } } export let list = [1];",
        ),
        ("itself", "import \"itself\" as me;"),
        ("there", "import \"back\" as b;"),
        ("back", "import \"there\" as t;"),
        ("wrong", "let = ;"),
        ("endless", "loop {}"),
    ];
    for (name, source) in modules {
        std::fs::write(directory.path().join(name).with_extension("rhai"), source).expect("written");
    }
    directory
}

/// Declares a variable of each type, with the names that the grammar uses.
const PRELUDE: &str = "let i = 1; let j = 2; let x = 1.5; let s = \"abc\"; let t = \"é\"; let c = 'c'; let a = [1, 2, 3]; \
    let b = [[1], \"b\"]; let m = #{k0: 1}; let n = #{k0: #{k1: [1]}}; let z = blob(8, 1); let f = |k| k; \
    let g = || 7; let r = 0..3; let w = timestamp(); let q = true; fn one(p) { p } fn two(p, r) { [p, r] } \
    fn recurse(p) { if p < 1 { 0 } else { recurse(p - 1) } } import \"one\" as o; import \"two\" as p;";

/// A script that counts the variables over their size limits.
fn too_large(limits: &WorkerLimits) -> String {
    let large = ["i", "j", "s", "t", "a", "b", "m", "n", "z", "x", "f", "g", "q"].map(|name| {
        let larger_than = |type_name: &str, max: u64| {
            format!("(is_def_var(\"{name}\") && type_of({name}) == \"{type_name}\" && {name}.len > {max})")
        };
        [
            format!(
                "(is_def_var(\"{name}\") && type_of({name}) == \"string\" && {name}.bytes > {})",
                limits.string_bytes
            ),
            larger_than("array", limits.array_items),
            larger_than("blob", limits.array_items),
            larger_than("map", limits.map_items),
        ]
        .join(" || ")
    });
    format!("[{}].filter(|is_large| is_large).len()", large.join(", "))
}

/// Plays the scripts in a new worker. The error describes a violated guarantee.
pub(crate) async fn play(
    profile: Profile,
    scripts: &[String],
    modules: &Path,
    outcomes: &mut Outcomes,
) -> Result<(), String> {
    outcomes.sessions += 1;
    let limits = profile.limits();
    let setup = WorkerSetup {
        constants: vec![named("CIRCLE_NAME", "generate"), named("CALLER_PUBLIC_KEY", "02ab")],
        limits: limits.clone(),
        modules: ModuleSources::read(modules).map_err(|error| error.to_string())?,
        ..WorkerSetup::default()
    };
    let mut session = WorkerSession {
        worker: Worker::start(Program::SameExecutable, setup).await.map_err(|error| error.to_string())?,
        limits,
        plays: 0,
    };
    match session.run(PRELUDE).await? {
        PlayEnding::Done(EvalOutcome::Value(_)) => {}
        end => return Err(format!("the prelude failed: {end:?}")),
    }
    let count_too_large = too_large(&session.limits);
    let mut has_met_a_limit = false;
    for script in scripts {
        let outcome = match session.run(script).await? {
            PlayEnding::Done(outcome) => outcome,
            PlayEnding::Lost(Loss::Crashed) => return Err("the worker crashed".into()),
            PlayEnding::Lost(loss) => {
                outcomes.note_loss(loss, script);
                return Ok(());
            }
        };
        outcomes.note(&outcome);
        session.is_within_limits(&outcome)?;
        match session.run("40 + 2").await? {
            PlayEnding::Done(EvalOutcome::Value(value)) if value.output == "42" => {}
            // The memory is so full that only a fresh environment helps.
            PlayEnding::Done(EvalOutcome::Limit { kind: LimitKind::Memory, .. }) => return Ok(()),
            end => return Err(format!("40 + 2 after the script: {end:?}")),
        }
        // A variable over its limit stays too large when the limit is reported, and only the first exceeded limit is
        // reported.
        has_met_a_limit |= matches!(outcome, EvalOutcome::Limit { .. } | EvalOutcome::Stopped);
        if !has_met_a_limit {
            match session.run(&count_too_large).await? {
                PlayEnding::Done(EvalOutcome::Value(value)) if value.output == "0" => {}
                // The check itself may exceed a limit, because Rhai also counts nested items.
                PlayEnding::Done(EvalOutcome::Limit { .. } | EvalOutcome::Stopped) => return Ok(()),
                end => return Err(format!("variables that are too large: {end:?}")),
            }
        }
    }
    Ok(())
}

impl Outcomes {
    fn note(&mut self, outcome: &EvalOutcome) {
        *match outcome {
            EvalOutcome::Value(_) => &mut self.values,
            EvalOutcome::Failed(error) if error.kind == ErrorKind::Parse => &mut self.unparsed,
            EvalOutcome::Failed(_) => &mut self.errors,
            EvalOutcome::Limit { .. } => &mut self.limited,
            EvalOutcome::Stopped => &mut self.stopped,
            other => panic!("unknown outcome: {other:?}"),
        } += 1;
    }

    /// Counts a lost worker, and prints a script that did not stop: one of its operations takes longer than a second.
    fn note_loss(&mut self, loss: Loss, script: &str) {
        if loss == Loss::Memory {
            self.out_of_memory += 1;
        } else {
            self.killed += 1;
            println!("killed because it did not stop:\n{script}\n----");
        }
    }
}

#[derive(Debug)]
enum PlayEnding {
    Done(EvalOutcome),
    Lost(Loss),
}

struct WorkerSession {
    worker: Worker,
    limits: WorkerLimits,
    plays: u64,
}

impl WorkerSession {
    /// Plays a script, and stops or kills it like a server.
    async fn run(&mut self, script: &str) -> Result<PlayEnding, String> {
        self.plays += 1;
        let number = self.plays;
        self.worker.play(&Play { number, script, name: None, bind: None });
        let started = Instant::now();
        let stages = [
            (started + STOP_DELAY, Escalation::Stop),
            (started + STOP_DELAY + STOP_GRACE_PERIOD, Escalation::Kill),
            (started + PLAY_TIMEOUT, Escalation::GiveUp),
        ];
        let mut printed = 0;
        for (at, stage) in stages {
            while let Ok(event) = timeout_at(at, self.worker.event()).await {
                match event {
                    WorkerEvent::Print(print) => printed += print.text.len() as u64 + 64,
                    WorkerEvent::Done { outcome, .. } if printed <= self.limits.output_bytes => {
                        return Ok(PlayEnding::Done(outcome));
                    }
                    WorkerEvent::Done { .. } => return Err(format!("it printed {printed} bytes")),
                    WorkerEvent::Lost(loss) => return Ok(PlayEnding::Lost(loss)),
                    event => return Err(format!("unrequested event: {event:?}")),
                }
            }
            match stage {
                Escalation::Stop => self.worker.stop(number),
                Escalation::Kill => self.worker.kill(),
                Escalation::GiveUp => {}
            }
        }
        Err("the worker did not end after a kill".into())
    }

    fn is_within_limits(&self, outcome: &EvalOutcome) -> Result<(), String> {
        let json = match outcome {
            EvalOutcome::Value(value) => {
                let longest = value.output.len().max(value.json.len()) as u64;
                if longest > self.limits.output_bytes {
                    return Err(format!("its value has {longest} bytes"));
                }
                Some(&value.json)
            }
            EvalOutcome::Failed(error) => error.thrown.as_ref(),
            EvalOutcome::Limit { .. } | EvalOutcome::Stopped => None,
            other => return Err(format!("unknown outcome: {other:?}")),
        };
        match json.map(|json| serde_json::from_str::<serde::de::IgnoredAny>(json)) {
            Some(Err(error)) => Err(format!("its value is not JSON: {error}")),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// The action when a play exceeds a time.
#[derive(Clone, Copy)]
enum Escalation {
    Stop,
    Kill,
    GiveUp,
}

fn named(name: &str, value: &str) -> NamedValue {
    NamedValue::new(name, value).expect("a text is valid")
}
