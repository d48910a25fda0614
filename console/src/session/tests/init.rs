//! Tests of the user's init script.

use client_ws::{Notice, RpcError};
use protocol::{error::LossReason, methods::Access};
use tempfile::TempDir;

use super::{Console, ConsoleSetup, LOST, RECONNECTED, fake::not_found};
use crate::session::FanOutTarget;

const INIT: &str = "fn area(r) { r * r }";

/// A session with an init script, whose directory must stay.
struct InitConsole {
    console: Console,
    directory: TempDir,
}

impl InitConsole {
    fn open(setup: ConsoleSetup) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("init.rhai"), INIT).expect("written");
        Self { console: Console::with_init(setup, Some(directory.path().join("init.rhai"))), directory }
    }

    /// Connects to an open circle, which has not answered the init script.
    async fn connected() -> (Self, super::fake::FakePlay) {
        let mut here = Self::open(ConsoleSetup::default());
        here.console.connect().await;
        here.console.expect_events(&["connected first", "ready"]).await;
        let play = here.console.circle.plays(INIT).await;
        (here, play)
    }

    /// Connects to an open circle, and ends the init script.
    async fn ready() -> Self {
        let (here, play) = Self::connected().await;
        play.unit().await;
        super::settle().await;
        here
    }
}

#[tokio::test(start_paused = true)]
async fn init_script_is_played_first_and_quietly() {
    let (InitConsole { mut console, directory: _directory }, play) = InitConsole::connected().await;
    assert_eq!((play.script.name.as_deref(), &play.script.bind), (Some("init.rhai"), &None));
    console.submit("area(2)");
    play.print("hello").await;
    console.expect_events(&["output hello"]).await;
    console.expect_no_event().await;
    play.answer(7).await;
    // It is no input, and its value is nowhere.
    console.expect_events(&["began area(2)"]).await;
    console.circle.plays("area(2)").await.answer(4).await;
    console.expect_events(&["value 4", "done"]).await;
    assert_eq!(console.state().inputs, 1);
    console.submit(":out");
    console.expect_events(&["began :out", "listing     2  4 ", "done"]).await;
    console.submit(":last");
    console.expect_events(&["began :last", "listing 4", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn init_script_waits_for_the_key() {
    let setup =
        ConsoleSetup { access: Access::Members, key: Some("alice"), unlocked: &["alice"], ..Default::default() };
    let InitConsole { mut console, directory: _directory } = InitConsole::open(setup);
    console.connect().await;
    let (_, reply) = console.circle.key().await;
    console.expect_events(&["connected first"]).await;
    console.expect_no_event().await;
    reply.send(Ok(())).expect("the session waits for it");
    console.expect_events(&["ready"]).await;
    console.circle.plays(INIT).await.unit().await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_for_the_same_environment_plays_nothing_again() {
    let InitConsole { mut console, directory } = InitConsole::ready().await;
    console.keys.ring.insert(super::key("alice"), super::keypair("alice").into());
    console.submit(":key alice");
    console.circle.admit().await;
    console.expect_events(&["began :key alice", "done", "ready"]).await;
    console.expect_no_event().await;
    drop(directory);
}

#[tokio::test(start_paused = true)]
async fn init_script_is_played_after_a_reset_and_on_a_new_connection() {
    let InitConsole { mut console, directory } = InitConsole::ready().await;
    console.submit(":reset");
    console.submit("1");
    let (_, reply) = console.circle.query().await;
    reply.send(Ok(Vec::new())).expect("the session waits for it");
    // As it is now.
    std::fs::write(directory.path().join("init.rhai"), "let unit = 1").expect("written");
    console.expect_events(&["began :reset", "listing ", "done"]).await;
    console.circle.plays("let unit = 1").await.unit().await;
    console.expect_events(&["began 1"]).await;
    console.circle.plays("1").await.unit().await;
    console.expect_events(&["value ", "done"]).await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.accept().await;
    assert_eq!(console.event_text().await, "connected again");
    assert!(console.event_text().await.starts_with(RECONNECTED));
    console.expect_events(&["ready"]).await;
    console.circle.plays("let unit = 1").await.unit().await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn init_script_is_played_before_the_next_input_after_a_lost_environment() {
    let InitConsole { mut console, directory } = InitConsole::ready().await;
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Idle });
    assert!(console.event_text().await.starts_with("warning "));
    // An environment that nobody uses stays gone.
    console.expect_no_event().await;
    console.submit(":hlep");
    console.submit("1");
    console.circle.plays(INIT).await.unit().await;
    assert!(console.remaining_events().await.contains(&"began 1".to_owned()));
    let play = console.circle.plays("1").await;
    console.submit("2");
    play.fail(RpcError::EnvironmentLost { reason: LossReason::Memory }).await;
    console.circle.plays(INIT).await.unit().await;
    console.circle.plays("2").await.unit().await;
    drop(directory);
}

#[tokio::test(start_paused = true)]
async fn init_script_that_fails_is_reported_and_the_session_goes_on() {
    let (InitConsole { mut console, directory: _directory }, play) = InitConsole::connected().await;
    console.submit("1");
    play.fail(not_found("x")).await;
    let error = console.event_text().await;
    assert!(error.contains("Variable not found: x"), "{error}");
    console.expect_events(&["began 1"]).await;
    console.circle.plays("1").await.unit().await;
    console.expect_events(&["value ", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn init_script_that_costs_the_environment_is_not_played_again() {
    let (InitConsole { mut console, directory: _directory }, play) = InitConsole::connected().await;
    play.fail(RpcError::EnvironmentLost { reason: LossReason::Memory }).await;
    assert!(console.event_text().await.starts_with("error "));
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Memory });
    assert!(console.event_text().await.starts_with("warning "));
    console.play_to_end("1").await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn cancelled_init_script_returns_the_inputs_behind_it_at_its_end() {
    let (InitConsole { mut console, directory: _directory }, mut play) = InitConsole::connected().await;
    console.submit("1");
    console.cancel();
    play.cancelled().await;
    console.expect_no_event().await;
    play.fail(RpcError::Cancelled).await;
    console.expect_events(&["note cancelled the init script", r#"given back ["1"]"#]).await;
    assert!(!console.state().is_busy());
    console.play_to_end("2").await;
    // Once more, without waiting for the end.
    console.submit(":reset");
    let (_, reply) = console.circle.query().await;
    reply.send(Ok(Vec::new())).expect("the session waits for it");
    let _play = console.circle.plays(INIT).await;
    console.submit("3");
    console.cancel();
    console.cancel();
    console.expect_events(&["began :reset", "listing ", "done", r#"given back ["3"]"#]).await;
    console.expect_events(&["note gave up waiting for the init script; it may still be running"]).await;
    console.play_to_end("4").await;
}

#[tokio::test(start_paused = true)]
async fn init_script_that_is_missing_is_no_mistake_and_one_that_cannot_be_played_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("init.rhai");
    let mut console = Console::with_init(ConsoleSetup::default(), Some(file.clone()));
    console.circle.limits.message_kib = 1;
    console.connect().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.play_to_end("1").await;
    let mut reset = async || {
        console.submit(":reset");
        let (_, reply) = console.circle.query().await;
        reply.send(Ok(Vec::new())).expect("the session waits for it");
        console.expect_events(&["began :reset", "listing ", "done"]).await;
        let shown = console.remaining_events().await;
        console.play_to_end("2").await;
        shown
    };
    std::fs::write(&file, "x".repeat(2000)).expect("written");
    let error = reset().await.join("");
    assert!(error.contains("cannot play the init script") && error.contains("--no-init"), "{error}");
    std::fs::write(&file, [0xff, 0xfe]).expect("written");
    let error = reset().await.join("");
    assert!(error.contains("cannot read the script") && error.contains("save it as UTF-8"), "{error}");
    std::fs::write(&file, " \n").expect("written");
    assert_eq!(reset().await, [""; 0]);
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir(&file).expect("made");
    assert!(reset().await.join("").contains("cannot read the script"));
}

#[tokio::test(start_paused = true)]
async fn part_of_a_fan_out_waits_for_the_init_script() {
    let (InitConsole { mut console, directory: _directory }, play) = InitConsole::connected().await;
    let mut starter = Console::ready().await;
    starter.submit(":each team 1");
    assert!(starter.remaining_events().await.join("").contains("FanOut"));
    let target = FanOutTarget { label: "team".to_owned(), session: console.session.clone() };
    starter.session.fan_out(vec![target]).expect("there is room");
    starter.expect_no_event().await;
    console.expect_no_event().await;
    play.unit().await;
    console.circle.plays("1").await.answer(5).await;
    assert!(starter.remaining_events().await.join("\n").contains('5'));
}

/// A fan-out that began before the connection.
#[tokio::test(start_paused = true)]
async fn init_script_comes_before_the_part_of_the_sessions_own_fan_out() {
    for is_answered_early in [true, false] {
        let InitConsole { mut console, directory: _directory } = InitConsole::open(ConsoleSetup::default());
        console.submit(":each team 1");
        console.expect_events(&["began :each team 1", "request FanOut([\"team\"])"]).await;
        console.session.connect(true).expect("there is room");
        let attempt = console.circle.attempt().await;
        let answer = |console: &Console| {
            let target = FanOutTarget { label: "team".to_owned(), session: console.session.clone() };
            console.session.fan_out(vec![target]).expect("there is room");
        };
        if is_answered_early {
            answer(&console);
        }
        console.circle.answer(attempt);
        let init = console.circle.plays(INIT).await;
        if !is_answered_early {
            answer(&console);
        }
        console.submit("2");
        console.expect_events(&["connected first", "ready"]).await;
        console.expect_no_event().await;
        init.unit().await;
        console.circle.plays("1").await.answer(5).await;
        assert!(console.event_text().await.contains('5'));
        console.expect_events(&["done", "began 2"]).await;
        console.circle.plays("2").await.unit().await;
        console.expect_events(&["value ", "done"]).await;
        console.expect_no_event().await;
    }
}

/// The environment is lost while a fan-out looks for its circles.
#[tokio::test(start_paused = true)]
async fn init_script_comes_before_the_part_in_a_lost_environment() {
    let InitConsole { mut console, directory: _directory } = InitConsole::ready().await;
    console.submit(":each team 1");
    console.expect_events(&["began :each team 1", "request FanOut([\"team\"])"]).await;
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Idle });
    assert!(console.event_text().await.starts_with("warning "));
    console.expect_no_event().await;
    let target = FanOutTarget { label: "team".to_owned(), session: console.session.clone() };
    console.session.fan_out(vec![target]).expect("there is room");
    console.circle.plays(INIT).await.unit().await;
    console.circle.plays("1").await.answer(5).await;
    assert!(console.event_text().await.contains('5'));
    console.expect_events(&["done"]).await;
}

#[tokio::test(start_paused = true)]
async fn cancelled_fan_out_cancels_the_init_script_before_its_part() {
    for is_given_up in [false, true] {
        let InitConsole { mut console, directory: _directory } = InitConsole::open(ConsoleSetup::default());
        console.submit(":each team 1");
        console.connect().await;
        let target = FanOutTarget { label: "team".to_owned(), session: console.session.clone() };
        console.session.fan_out(vec![target]).expect("there is room");
        let mut init = console.circle.plays(INIT).await;
        console.remaining_events().await;
        console.submit("2");
        console.cancel();
        init.cancelled().await;
        console.expect_events(&[r#"given back ["2"]"#]).await;
        console.expect_no_event().await;
        if is_given_up {
            console.cancel();
            let given_up = "note gave up waiting for the init script; it may still be running";
            console.expect_events(&[given_up]).await;
            assert!(console.event_text().await.contains("gave up waiting"));
        } else {
            init.fail(RpcError::Cancelled).await;
            console.expect_events(&["note cancelled the init script"]).await;
            assert!(console.event_text().await.contains("cancelled"));
        }
        console.expect_events(&["done"]).await;
        console.expect_no_event().await;
        console.play_to_end("3").await;
    }
}

#[tokio::test(start_paused = true)]
async fn part_that_waits_for_the_init_script_is_refused_when_the_connection_is_lost() {
    let (InitConsole { mut console, directory: _directory }, init) = InitConsole::connected().await;
    let mut starter = Console::ready().await;
    starter.submit(":each team 1");
    let target = FanOutTarget { label: "team".to_owned(), session: console.session.clone() };
    starter.remaining_events().await;
    starter.session.fan_out(vec![target]).expect("there is room");
    super::settle().await;
    console.circle.lose();
    init.fail(super::fake::lost()).await;
    let events = starter.remaining_events().await;
    assert!(events.iter().any(|event| event.contains("cannot be reached")), "{events:?}");
}

/// The environment is lost while the session reads the file.
#[tokio::test(start_paused = true)]
async fn init_script_comes_before_a_file_that_is_loaded() {
    let InitConsole { mut console, directory } = InitConsole::ready().await;
    let file = directory.path().join("work.rhai");
    std::fs::write(&file, "area(2)").expect("written");
    console.submit(&format!(":load {}", file.display()));
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Idle });
    console.circle.plays(INIT).await.unit().await;
    console.circle.plays("area(2)").await.answer(4).await;
    assert_eq!(console.remaining_events().await.last().map(String::as_str), Some("done"));
}

#[tokio::test(start_paused = true)]
async fn documentation_waits_for_the_init_script() {
    let (InitConsole { mut console, directory: _directory }, init) = InitConsole::connected().await;
    console.submit(":doc area");
    console.expect_no_event().await;
    init.unit().await;
    let (_, reply) = console.circle.query().await;
    reply.send(Ok(Vec::new())).expect("the session waits for it");
    console.expect_events(&["began :doc area", "listing ", "done"]).await;
}
