//! Fuzz test: plays scripts generated from Rhai's grammar. For every script, the worker answers, or is stopped or
//! killed; it works afterwards, and never ends by itself except at its memory limit. It has no test harness, because a
//! worker runs the program's own executable.
//!
//! A case is one session: a worker and a few scripts. `CIRCLES_GENERATE_MINUTES=60 cargo test --release -p
//! circles-worker --test generate` runs for an hour, from a seed that it prints; `CIRCLES_GENERATE_SEED=7` sets the
//! first seed.

#[path = "generate/grammar.rs"]
mod grammar;
#[path = "generate/session.rs"]
mod session;

use std::{
    cell::RefCell,
    env,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner},
};

use grammar::Grammar;
use session::{Outcomes, Profile};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// Number of sessions for each seed. A run without `CIRCLES_GENERATE_MINUTES` uses one seed.
const CASES: u32 = 150;

/// The default seed, so that runs are reproducible.
const SEED: u64 = 1;

/// Maximum number of scripts in a session.
const MAX_SCRIPTS: usize = 8;

/// Maximum number of choices in a script.
const MAX_CHOICES: usize = 300;

fn main() {
    worker::run_if_worker();
    let minutes = number("CIRCLES_GENERATE_MINUTES");
    let until = minutes.map(|minutes| Instant::now() + Duration::from_mins(minutes));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let first = number("CIRCLES_GENERATE_SEED").unwrap_or(if minutes.is_some() { now } else { SEED });
    let modules = session::modules();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let grammar = Grammar::new();
    let outcomes = RefCell::new(Outcomes::default());
    let mut failures = 0_u32;
    for seed in first.. {
        let play = |(profile, choices): SessionCase| {
            let scripts: Vec<String> = choices.iter().map(|choices| grammar.script(choices)).collect();
            let mut outcomes = outcomes.borrow_mut();
            runtime
                .block_on(session::play(profile, &scripts, modules.path(), &mut outcomes))
                .map_err(TestCaseError::fail)
        };
        if let Err(failure) = run(seed, play) {
            failures += 1;
            let TestError::Fail(reason, (profile, choices)) = failure else { panic!("{failure}") };
            println!("seed {seed}, limits {profile:?}: {reason}; the minimized session:");
            for choices in choices {
                println!("----\n{}", grammar.script(&choices));
            }
        }
        if until.is_none_or(|until| Instant::now() >= until) {
            println!("seeds {first} to {seed}: {:?}", outcomes.borrow());
            break;
        }
    }
    println!(
        "test result: {}. {} passed; {failures} failed; workers survive every script",
        if failures == 0 { "ok" } else { "FAILED" },
        u32::from(failures == 0),
    );
    std::process::exit(i32::from(failures > 0));
}

/// A session: its limits and the choices of each of its scripts.
type SessionCase = (Profile, Vec<Vec<u16>>);

/// Plays the sessions of one seed. The error is the first failing session, minimized.
fn run(seed: u64, play: impl Fn(SessionCase) -> Result<(), TestCaseError>) -> Result<(), TestError<SessionCase>> {
    let config = Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_time: 60_000,
        max_shrink_iters: 5_000,
        ..Config::default()
    };
    let profile = proptest::sample::select(Profile::ALL);
    let scripts = vec(vec(any::<u16>(), 0..MAX_CHOICES), 1..=MAX_SCRIPTS);
    TestRunner::new(config).run(&(profile, scripts), play)
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value}")))
}
