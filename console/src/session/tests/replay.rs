//! Tests of `:replay`: it shows the inputs of a lost session, and plays them again once the user confirms it.

use client_ws::{Notice, RpcError};
use protocol::error::LossReason;

use super::{Console, fake};

const HINT: &str = ":replay! runs these inputs in this session, one after the other, and stops at the first that fails";

/// Returns a console that has lost the environment of some inputs.
async fn lost(inputs: &[&str]) -> Console {
    let mut console = Console::with_inputs(inputs).await;
    console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Killed });
    assert!(console.event_text().await.contains(":replay runs "));
    console
}

/// Lists the inputs, and confirms.
async fn confirm(console: &mut Console) {
    console.submit(":replay");
    console.expect_events(&["began :replay"]).await;
    assert!(console.event_text().await.ends_with(HINT));
    console.expect_events(&["done"]).await;
    console.submit(":replay!");
    console.expect_events(&["began :replay!"]).await;
}

#[tokio::test(start_paused = true)]
async fn replay_shows_the_inputs_before_it_plays_them() {
    let mut console = lost(&["let x = 1", "fn f() {\n  2\n}"]).await;
    // Unseen inputs are never played.
    for input in [":replay!", ":replay"] {
        console.submit(input);
        let listing = format!("listing     1  let x = 1\n    2  fn f() {{\n         2\n       }}\n{HINT}");
        console.expect_events(&[&format!("began {input}"), &listing, "done"]).await;
        console.expect_no_event().await;
    }
    console.submit(":replay!");
    console.submit("x + 1");
    console.expect_events(&["began :replay!", "remark 1/2  let x = 1"]).await;
    let playing = console.circle.plays("let x = 1").await;
    assert_eq!(playing.script.bind.as_deref(), Some("ans"));
    playing.print("printed").await;
    playing.answer(1).await;
    console.expect_events(&["output printed", "remark 2/2  fn f() { …"]).await;
    console.circle.plays("fn f() {\n  2\n}").await.unit().await;
    // Inputs that were typed meanwhile wait for the end.
    console.expect_events(&["remark replayed 2 inputs", "done", "began x + 1"]).await;
    console.circle.plays("x + 1").await.answer(2).await;
    console.expect_events(&["value 2", "done"]).await;
    assert_eq!(console.state().inputs, 3);
    console.submit(":replay");
    let nothing = "remark there is nothing to replay: no session with inputs was lost or reset";
    console.expect_events(&["began :replay", nothing, "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn replay_stops_at_the_input_that_fails() {
    let mut console = lost(&["let x = 1", "let y = x", "let z = y", "z"]).await;
    confirm(&mut console).await;
    console.expect_events(&["remark 1/4  let x = 1"]).await;
    console.circle.plays("let x = 1").await.unit().await;
    console.expect_events(&["remark 2/4  let y = x"]).await;
    let limit = protocol::error::PlayLimit::Time;
    console.circle.plays("let y = x").await.fail(RpcError::LimitExceeded { limit, max: 200, setting: None }).await;
    assert!(console.event_text().await.starts_with("error "));
    let stopped =
        "remark input 2 of 4 failed; the 2 inputs after it did not run: fix it by hand, then :replay lists the rest";
    console.expect_events(&[stopped, "done"]).await;
    console.expect_no_event().await;
    // The rest can be played once it is fixed.
    console.play_to_end("let y = 2").await;
    confirm(&mut console).await;
    console.expect_events(&["remark 1/2  let z = y"]).await;
    console.circle.plays("let z = y").await.unit().await;
    console.expect_events(&["remark 2/2  z"]).await;
    console.circle.plays("z").await.unit().await;
    console.expect_events(&["remark replayed 2 inputs", "done"]).await;
    assert_eq!(console.state().inputs, 4);
}

#[tokio::test(start_paused = true)]
async fn replay_that_is_cancelled_keeps_the_rest() {
    let mut console = lost(&["let x = 1", "let y = x"]).await;
    confirm(&mut console).await;
    console.submit("typed meanwhile");
    console.expect_events(&["remark 1/2  let x = 1"]).await;
    let playing = console.circle.plays("let x = 1").await;
    console.cancel();
    console.expect_events(&[r#"given back ["typed meanwhile"]"#]).await;
    playing.cancel().await;
    let cancelled = "remark cancelled; your variables are kept";
    console
        .expect_events(&[cancelled, "remark the replay stopped at input 1 of 2; :replay lists the rest", "done"])
        .await;
    confirm(&mut console).await;
    console.expect_events(&["remark 1/2  let x = 1"]).await;
    let playing = console.circle.plays("let x = 1").await;
    // The second cancellation gives up waiting.
    console.cancel();
    console.cancel();
    assert!(console.event_text().await.starts_with("remark gave up waiting"));
    console.expect_events(&["remark the replay stopped at input 1 of 2; :replay lists the rest", "done"]).await;
    playing.abandoned().await;
}

#[tokio::test(start_paused = true)]
async fn replay_that_loses_its_session_can_begin_again() {
    let mut console = lost(&["let x = 1", "let y = x"]).await;
    confirm(&mut console).await;
    console.expect_events(&["remark 1/2  let x = 1"]).await;
    console.circle.plays("let x = 1").await.unit().await;
    console.expect_events(&["remark 2/2  let y = x"]).await;
    let playing = console.circle.plays("let y = x").await;
    console.circle.lose();
    playing.fail(fake::lost()).await;
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["lost", "remark the replay stopped at input 2 of 2; :replay lists the rest", "done"]).await;
    console.circle.accept().await;
    console.expect_events(&["connected again"]).await;
    assert!(console.event_text().await.contains("variables from 1 input are gone"));
    console.expect_events(&["ready"]).await;
    confirm(&mut console).await;
    console.expect_events(&["remark 1/2  let x = 1"]).await;
    console.circle.plays("let x = 1").await.unit().await;
    console.expect_events(&["remark 2/2  let y = x"]).await;
    console.circle.plays("let y = x").await.unit().await;
    console.expect_events(&["remark replayed 2 inputs", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn replay_brings_back_what_a_reset_removed() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.submit(":reset");
    let (_, reply) = console.circle.query().await;
    reply.send(Ok(Vec::new())).expect("the session waits for it");
    console.expect_events(&["began :reset", "listing ", "done"]).await;
    confirm(&mut console).await;
    console.expect_events(&["remark 1/1  let x = 1"]).await;
    console.circle.plays("let x = 1").await.unit().await;
    console.expect_events(&["remark replayed 1 input", "done"]).await;
}
