//! Environments that are gone, and other circles in the place of one: nothing is played there that was typed before.

use client_ws::{Notice, RpcError};
use protocol::{error::LossReason, methods::Access};

use super::{AGAIN, Console, LOST, Setup, settle};
use crate::session::ConnectionStatus;

const NOT_PLAYED: &str = "note what was typed was not played: Enter plays it in the fresh session";
/// What is said of a connection to another circle, as its user wanted.
const TAKEN: &str = "note connected to the circle 'lab', with a fresh session";

/// What is said of another circle in the place of the session's.
const OTHER: &str = "the circle 'lab' is there now, and not 'team'";

fn gone(inputs: &str) -> String {
    format!(": what {inputs} had made is gone (:save FILE writes ")
}

#[tokio::test(start_paused = true)]
async fn lost_environment_is_said_with_what_it_held() {
    let mut console = Console::with_inputs(&["let x = 1", "let y = 2"]).await;
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Idle });
    let said = console.said().await;
    let start = "warning the circle at ws://team:9001 lost this session's environment (idle)";
    assert!(said.starts_with(&format!("{start}{}", gone("2 inputs"))), "{said}");
    console.is_quiet().await;
    let state = console.state();
    assert!(state.is_ready() && state.inputs == 0, "{state:?}");
    // The notices go on; nothing was made since.
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Idle });
    console.says(&[start]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn lost_environment_gives_back_what_waits() {
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    console.submit(":vars");
    console.submit("k + 1");
    let (_, reply) = console.circle.question().await;
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Killed });
    console.says(&["began :vars"]).await;
    assert!(console.said().await.contains("environment (killed): what 1 input had made is gone"));
    console.says(&[NOT_PLAYED, r#"given back ["k + 1"]"#]).await;
    reply.send(Ok(Vec::new())).expect("the session waits for it");
    console.says(&["listing ", "done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn play_that_costs_the_environment_gives_back_what_waits() {
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    let playing = console.begin("loop {}").await;
    console.submit("k + 1");
    playing.fail(RpcError::EnvironmentLost { reason: LossReason::Memory }).await;
    assert!(console.said().await.starts_with("error error: the play was ended"));
    console.says(&[NOT_PLAYED, r#"given back ["k + 1"]"#, "done"]).await;
    console.is_quiet().await;
    assert!(console.state().is_ready() && console.state().inputs == 0);
}

#[tokio::test(start_paused = true)]
async fn play_that_costs_an_environment_without_anything_in_it_lets_the_next_run() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    console.submit("1");
    playing.fail(RpcError::EnvironmentLost { reason: LossReason::Memory }).await;
    assert!(console.said().await.starts_with("error "));
    console.says(&["done", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
}

#[tokio::test(start_paused = true)]
async fn input_that_was_typed_for_variables_that_are_gone_is_given_back() {
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.submit("k + 1");
    console.submit("k + 2");
    console.circle.accept().await;
    assert_eq!(console.said().await, "connected again");
    assert!(console.said().await.starts_with(&format!("{AGAIN}{}", gone("1 input"))));
    console.says(&[NOT_PLAYED, r#"given back ["k + 1", "k + 2"]"#, "ready"]).await;
    console.is_quiet().await;
    // Played, once its user means it.
    console.begin("k + 1").await.answer(2).await;
}

#[tokio::test(start_paused = true)]
async fn input_that_was_typed_for_variables_that_are_gone_is_given_back_once_the_key_is_known() {
    let mut console = Console::alice().await;
    console.plays("let k = 1").await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.submit("k + 1");
    console.circle.accept().await;
    console.says(&["connected again"]).await;
    console.circle.admit().await;
    assert!(console.said().await.contains(" as alice, with a fresh session: what 1 input had made is gone"));
    console.says(&[NOT_PLAYED, r#"given back ["k + 1"]"#, "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_is_said_of_the_connection_that_holds() {
    let mut console = Console::alice().await;
    console.plays("let k = 1").await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.accept().await;
    console.says(&["connected again"]).await;
    // Lost again before it is known whose it is.
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.key().await;
    console.circle.accept().await;
    console.circle.admit().await;
    console.says(&["connected again"]).await;
    assert!(console.said().await.contains("what 1 input had made is gone"));
    console.says(&["ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn another_circle_in_its_place_is_refused_in_the_background() {
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.name = "lab";
    console.circle.accept().await;
    console.says(&[&format!("warning {OTHER}; Enter tries again")]).await;
    // It is not tried by itself any more, and what was there is told with the circle that is there again.
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    console.is_quiet().await;
    assert!(console.state().connection == ConnectionStatus::Disconnected && console.circle.disconnections() == 2);
    // The first input is for the circle before: nobody has said yet that another one will do.
    console.submit("k + 1");
    console.circle.accept().await;
    console
        .says(&[&format!("connect failed: cannot reach the circle at ws://team:9001: {OTHER}; Enter tries again")])
        .await;
    console.says(&[NOT_PLAYED, r#"given back ["k + 1"]"#]).await;
    console.is_quiet().await;
    // The next one is for the circle that is there.
    console.submit("1");
    console.circle.accept().await;
    console.says(&["connected again"]).await;
    console.says(&[TAKEN, "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
}

#[tokio::test(start_paused = true)]
async fn another_circle_that_gave_an_input_back_is_taken_by_the_next() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.submit("1");
    console.circle.name = "lab";
    console.circle.accept().await;
    console
        .says(&[&format!("connect failed: cannot reach the circle at ws://team:9001: {OTHER}; Enter tries again")])
        .await;
    console.says(&[NOT_PLAYED, r#"given back ["1"]"#]).await;
    console.is_quiet().await;
    console.submit("1");
    console.circle.accept().await;
    console.says(&["connected again", TAKEN, "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.says(&["value 1", "done"]).await;
    // From now on it is the session's circle.
    console.circle.lose();
    let said = console.rest().await;
    assert_eq!(said, ["lost", LOST]);
    console.circle.accept().await;
    console.says(&["connected again"]).await;
}

#[tokio::test(start_paused = true)]
async fn another_circle_is_taken_by_a_user_who_connects_knowing_of_it() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.name = "lab";
    console.circle.accept().await;
    console.says(&[&format!("warning {OTHER}; Enter tries again")]).await;
    console.session.connect(true).expect("there is room");
    console.circle.accept().await;
    console.says(&["connected again", TAKEN, "ready"]).await;
    assert_eq!(console.state().circle.expect("it is known").name, "lab");
}

#[tokio::test(start_paused = true)]
async fn yet_another_circle_is_not_the_one_that_its_user_knows_of() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.name = "lab";
    console.circle.accept().await;
    console.says(&[&format!("warning {OTHER}; Enter tries again")]).await;
    console.circle.name = "mill";
    console.session.connect(true).expect("there is room");
    console.circle.accept().await;
    let said = "the circle 'mill' is there now, and not 'team'; Enter tries again";
    console.says(&[&format!("connect failed: cannot reach the circle at ws://team:9001: {said}")]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_authenticated_to_another_circle() {
    let setup = Setup { access: Access::Members, preferred: Some("alice"), unlocked: &["alice"], ..Setup::default() };
    let mut console = Console::open(setup);
    console.connect().await;
    console.circle.admit().await;
    console.says(&["connected first", "ready"]).await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.submit("1");
    console.circle.name = "lab";
    console.circle.accept().await;
    settle().await;
    assert!(console.circle.asked().is_none());
    console
        .says(&[&format!("connect failed: cannot reach the circle at ws://team:9001: {OTHER}; Enter tries again")])
        .await;
    console.says(&[NOT_PLAYED, r#"given back ["1"]"#]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn another_circle_is_refused_for_good_where_it_is_another_sessions() {
    let mut console = Console::open(Setup { refuses_other: true, ..Setup::default() });
    console.connect().await;
    console.says(&["connected first", "ready"]).await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.name = "lab";
    console.circle.accept().await;
    console.says(&[&format!("warning {OTHER}; :use goes to it")]).await;
    for _ in 0..2 {
        console.submit("1");
        console.circle.accept().await;
        console
            .says(&[&format!("connect failed: cannot reach the circle at ws://team:9001: {OTHER}; :use goes to it")])
            .await;
        console.says(&[r#"given back ["1"]"#]).await;
        assert!(console.state().is_replaced);
    }
    console.is_quiet().await;
}

/// A file that is being read, and circles that are being found, when the environment goes.
#[tokio::test(start_paused = true)]
async fn script_that_is_still_being_prepared_is_not_played_in_a_fresh_environment() {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("work.rhai");
    std::fs::write(&file, "k").expect("there is room");
    let load = format!(":load {}", file.display());
    let mut console = Console::with_inputs(&["let k = 1"]).await;
    console.submit(&load);
    // Both are there before the session has looked at either.
    console.circle.lose();
    let said = console.rest().await;
    let begins = said.iter().filter(|said| **said == format!("began {load}")).count();
    let ends = said.iter().filter(|said| *said == "done").count();
    assert_eq!((begins, ends), (1, 1), "{said:?}");
    if let Some(call) = console.circle.asked() {
        panic!("{call:?}");
    }
}
