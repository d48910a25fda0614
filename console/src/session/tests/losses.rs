//! Tests of lost environments and replaced circles: inputs for the old ones are never played in the new ones.

use client_ws::{Notice, RpcError};
use protocol::{error::LossReason, methods::Access};

use super::{Console, ConsoleSetup, LOST, RECONNECTED, settle};
use crate::session::ConnectionStatus;

const NOT_PLAYED: &str = "note your input was not played; Enter plays it in the new session";
/// The event of an accepted connection to another circle.
const SWITCHED: &str = "note connected to circle 'lab' with a new session";

/// The message about another circle at the session's address.
const OTHER: &str = "another circle answers there: 'lab' instead of 'team'";

fn gone(inputs: &str) -> String {
    format!("; variables from {inputs} are gone (:replay runs ")
}

#[tokio::test(start_paused = true)]
async fn lost_environment_is_reported_with_its_inputs() {
    let mut console = Console::with_inputs(&["let x = 1", "let y = 2"]).await;
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Idle });
    let event = console.event_text().await;
    let start = "warning the circle at ws://team:9001 lost this session's environment (idle)";
    assert!(event.starts_with(&format!("{start}{}", gone("2 inputs"))), "{event}");
    console.expect_no_event().await;
    let state = console.state();
    assert!(state.is_ready() && state.inputs == 0, "{state:?}");
    // Later notices are reported, too; there are no new variables.
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Idle });
    console.expect_events(&[start]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn lost_environment_returns_waiting_inputs() {
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    console.submit(":vars");
    console.submit("k + 1");
    let (_, reply) = console.circle.query().await;
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Killed });
    console.expect_events(&["began :vars"]).await;
    assert!(console.event_text().await.contains("environment (killed); variables from 1 input are gone"));
    console.expect_events(&[NOT_PLAYED, r#"given back ["k + 1"]"#]).await;
    reply.send(Ok(Vec::new())).expect("the session waits for it");
    console.expect_events(&["listing ", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn play_that_loses_the_environment_returns_waiting_inputs() {
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    let playing = console.begin("loop {}").await;
    console.submit("k + 1");
    playing.fail(RpcError::EnvironmentLost { reason: LossReason::Memory }).await;
    assert!(console.event_text().await.starts_with("error error: stopped: "));
    let hint = "remark variables from 1 input are gone (:replay runs it again, :save FILE keeps it as a script)";
    console.expect_events(&[hint, NOT_PLAYED, r#"given back ["k + 1"]"#, "done"]).await;
    console.expect_no_event().await;
    assert!(console.state().is_ready() && console.state().inputs == 0);
}

#[tokio::test(start_paused = true)]
async fn play_that_loses_an_empty_environment_lets_the_next_run() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    console.submit("1");
    playing.fail(RpcError::EnvironmentLost { reason: LossReason::Memory }).await;
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["done", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
}

#[tokio::test(start_paused = true)]
async fn input_for_lost_variables_is_returned() {
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.submit("k + 1");
    console.submit("k + 2");
    console.circle.accept().await;
    assert_eq!(console.event_text().await, "connected again");
    assert!(console.event_text().await.starts_with(&format!("{RECONNECTED}{}", gone("1 input"))));
    console.expect_events(&[NOT_PLAYED, r#"given back ["k + 1", "k + 2"]"#, "ready"]).await;
    console.expect_no_event().await;
    // Played when the user submits it again.
    console.begin("k + 1").await.answer(2).await;
}

#[tokio::test(start_paused = true)]
async fn input_for_lost_variables_is_returned_after_authentication() {
    let mut console = Console::alice().await;
    console.play_to_end("let k = 1").await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.submit("k + 1");
    console.circle.accept().await;
    console.expect_events(&["connected again"]).await;
    console.circle.admit().await;
    assert!(console.event_text().await.contains(" as alice with a new session; variables from 1 input are gone"));
    console.expect_events(&[NOT_PLAYED, r#"given back ["k + 1"]"#, "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn loss_is_reported_on_the_new_connection() {
    let mut console = Console::alice().await;
    console.play_to_end("let k = 1").await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.accept().await;
    console.expect_events(&["connected again"]).await;
    // Lost again before the identity is known.
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.key().await;
    console.circle.accept().await;
    console.circle.admit().await;
    console.expect_events(&["connected again"]).await;
    assert!(console.event_text().await.contains("variables from 1 input are gone"));
    console.expect_events(&["ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn other_circle_is_refused_in_the_background() {
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.name = "lab";
    console.circle.accept().await;
    console.expect_events(&[&format!("warning {OTHER}; press Enter to try again")]).await;
    // The session does not retry automatically.
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    console.expect_no_event().await;
    assert!(console.state().connection == ConnectionStatus::Disconnected && console.circle.disconnections() == 2);
    // The first input is for the old circle: the user has not accepted the other one yet.
    console.submit("k + 1");
    console.circle.accept().await;
    console
        .expect_events(&[&format!(
            "connect failed: cannot reach the circle at ws://team:9001: {OTHER}; press Enter to try again"
        )])
        .await;
    console.expect_events(&[NOT_PLAYED, r#"given back ["k + 1"]"#]).await;
    console.expect_no_event().await;
    // The next input accepts the other circle.
    console.submit("1");
    console.circle.accept().await;
    console.expect_events(&["connected again"]).await;
    console.expect_events(&[SWITCHED, "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
}

#[tokio::test(start_paused = true)]
async fn other_circle_is_accepted_after_a_returned_input() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.submit("1");
    console.circle.name = "lab";
    console.circle.accept().await;
    console
        .expect_events(&[&format!(
            "connect failed: cannot reach the circle at ws://team:9001: {OTHER}; press Enter to try again"
        )])
        .await;
    console.expect_events(&[NOT_PLAYED, r#"given back ["1"]"#]).await;
    console.expect_no_event().await;
    console.submit("1");
    console.circle.accept().await;
    console.expect_events(&["connected again", SWITCHED, "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    // Now it is the session's circle.
    console.circle.lose();
    let events = console.remaining_events().await;
    assert_eq!(events, ["lost", LOST]);
    console.circle.accept().await;
    console.expect_events(&["connected again"]).await;
}

#[tokio::test(start_paused = true)]
async fn other_circle_is_accepted_when_the_user_reconnects() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.name = "lab";
    console.circle.accept().await;
    console.expect_events(&[&format!("warning {OTHER}; press Enter to try again")]).await;
    console.session.connect(true).expect("there is room");
    console.circle.accept().await;
    console.expect_events(&["connected again", SWITCHED, "ready"]).await;
    assert_eq!(console.state().circle.expect("it is known").name, "lab");
}

#[tokio::test(start_paused = true)]
async fn third_circle_is_refused_again() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.name = "lab";
    console.circle.accept().await;
    console.expect_events(&[&format!("warning {OTHER}; press Enter to try again")]).await;
    console.circle.name = "mill";
    console.session.connect(true).expect("there is room");
    console.circle.accept().await;
    let message = "another circle answers there: 'mill' instead of 'team'; press Enter to try again";
    console.expect_events(&[&format!("connect failed: cannot reach the circle at ws://team:9001: {message}")]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn other_circle_gets_no_authentication() {
    let setup = ConsoleSetup {
        access: Access::Members,
        preferred: Some("alice"),
        unlocked: &["alice"],
        ..ConsoleSetup::default()
    };
    let mut console = Console::open(setup);
    console.connect().await;
    console.circle.admit().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.submit("1");
    console.circle.name = "lab";
    console.circle.accept().await;
    settle().await;
    assert!(console.circle.pending_call().is_none());
    console
        .expect_events(&[&format!(
            "connect failed: cannot reach the circle at ws://team:9001: {OTHER}; press Enter to try again"
        )])
        .await;
    console.expect_events(&[NOT_PLAYED, r#"given back ["1"]"#]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn other_circle_is_refused_permanently_by_policy() {
    let mut console = Console::open(ConsoleSetup { refuses_other: true, ..ConsoleSetup::default() });
    console.connect().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.name = "lab";
    console.circle.accept().await;
    console.expect_events(&[&format!("warning {OTHER}; :use switches to it")]).await;
    for _ in 0..2 {
        console.submit("1");
        console.circle.accept().await;
        console
            .expect_events(&[&format!(
                "connect failed: cannot reach the circle at ws://team:9001: {OTHER}; :use switches to it"
            )])
            .await;
        console.expect_events(&[r#"given back ["1"]"#]).await;
        assert!(console.state().is_replaced);
    }
    console.expect_no_event().await;
}

/// The environment is lost while a file is being read or circles are being found.
#[tokio::test(start_paused = true)]
async fn loading_script_is_not_played_in_a_new_environment() {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("work.rhai");
    std::fs::write(&file, "k").expect("there is room");
    let load = format!(":load {}", file.display());
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    console.submit(&load);
    // Both happen before the session handles either.
    console.circle.lose();
    let events = console.remaining_events().await;
    let begins = events.iter().filter(|event| **event == format!("began {load}")).count();
    let ends = events.iter().filter(|event| *event == "done").count();
    assert_eq!((begins, ends), (1, 1), "{events:?}");
    if let Some(call) = console.circle.pending_call() {
        panic!("{call:?}");
    }
}
