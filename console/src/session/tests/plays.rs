//! Tests of plays: success, failure, cancellation, giving up.

use std::time::Duration;

use client_ws::RpcError;
use protocol::{
    Limits,
    error::{PlayLimit, ScriptError, ScriptErrorKind},
    methods::Access,
};

use super::{Console, ConsoleSetup, LOST, RECONNECTED, fake, settle};
use crate::session::{DisplayKind, SessionEvent};

const CANCELLED: &str = "remark cancelled; your variables are kept";
const GIVEN_UP: &str = "remark gave up waiting; it may still be running, and your next input will queue behind it";

#[tokio::test(start_paused = true)]
async fn play_is_reported_in_order() {
    let mut console = Console::ready().await;
    let playing = console.begin("print(1); 40 + 2").await;
    assert_eq!(playing.script.bind.as_deref(), Some("ans"));
    assert!(console.state().running.is_some());
    playing.print("one").await;
    playing.print("two").await;
    playing.answer(42).await;
    console.expect_events(&["output one", "output two"]).await;
    let SessionEvent::Display(shown) = console.event().await else { panic!("no value") };
    assert_eq!(shown.kind, DisplayKind::Value);
    assert_eq!(shown.result.expect("its result is with it").output, "42");
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
    let state = console.state();
    assert!(state.running.is_none() && state.inputs == 1, "{state:?}");
    assert_eq!(state.last_elapsed, Some(Duration::from_micros(1500)));
}

#[tokio::test(start_paused = true)]
async fn dropped_prints_are_counted_where_they_were() {
    let mut console = Console::ready().await;
    let playing = console.begin("flood()").await;
    playing.print("one").await;
    playing.drop_events(7).await;
    playing.print("nine").await;
    playing.unit().await;
    let dropped = "warning 7 prints were dropped here: they came faster than they could be shown";
    console.expect_events(&["output one", dropped, "output nine", "value ", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn progress_is_in_the_state() {
    let mut console = Console::ready().await;
    let playing = console.begin("long()").await;
    playing.progress(7).await;
    settle().await;
    let progress = console.state().running.expect("it runs").progress.expect("it event how far it is");
    assert_eq!(progress.done, Some(7));
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn failed_play_shows_its_error_and_keeps_the_session() {
    let mut console = Console::ready().await;
    let playing = console.begin("nowhere").await;
    let (line, column) = (Some(1), Some(1));
    let message = "Variable not found: nowhere".to_owned();
    let (kind, trace) = (ScriptErrorKind::Runtime, Vec::new());
    let error = ScriptError { message, kind, line, column, function: None, hint: None, thrown: None, trace };
    playing.fail(RpcError::Script(error.into())).await;
    let event = console.event_text().await;
    assert!(event.starts_with("error ") && event.contains("Variable not found: nowhere"), "{event}");
    console.expect_events(&["done"]).await;
    let playing = console.begin("loop {}").await;
    playing.fail(RpcError::LimitExceeded { limit: PlayLimit::Time, max: 30_000, setting: None }).await;
    assert!(console.event_text().await.starts_with("error error: stopped: "));
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
    assert!(console.state().is_ready() && console.state().inputs == 0);
}

#[tokio::test(start_paused = true)]
async fn cancelled_play_returns_waiting_inputs() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    console.submit("2");
    console.submit(":vars");
    console.cancel();
    console.expect_events(&[r#"given back ["2", ":vars"]"#]).await;
    assert!(console.state().running.is_some_and(|running| running.cancelled.is_some()));
    // Later inputs wait for its end.
    console.submit("3");
    console.expect_no_event().await;
    playing.cancel().await;
    console.expect_events(&[CANCELLED, "done", "began 3"]).await;
    console.circle.plays("3").await.answer(3).await;
    console.expect_events(&["value 3", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn late_cancellation_keeps_the_value() {
    let mut console = Console::ready().await;
    let mut playing = console.begin("1").await;
    console.cancel();
    playing.cancelled().await;
    playing.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn foreign_cancellation_is_an_error() {
    let mut console = Console::ready().await;
    console.begin("loop {}").await.fail(RpcError::Cancelled).await;
    assert!(console.event_text().await.starts_with("error error: stopped: "));
    console.expect_events(&["done"]).await;
}

#[tokio::test(start_paused = true)]
async fn second_cancel_stops_waiting() {
    let mut console = Console::ready().await;
    let mut playing = console.begin("loop {}").await;
    console.cancel();
    playing.cancelled().await;
    tokio::time::sleep(Duration::from_millis(1990)).await;
    console.submit("2");
    console.cancel();
    console.expect_events(&[r#"given back ["2"]"#, GIVEN_UP, "done"]).await;
    playing.abandoned().await;
    // The circle queues the next play behind it.
    console.begin("3").await.answer(3).await;
    console.expect_events(&["value 3", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn second_cancel_after_a_while_cancels_again() {
    let mut console = Console::ready().await;
    let mut playing = console.begin("loop {}").await;
    for _ in 0..3 {
        console.cancel();
        playing.cancelled().await;
        tokio::time::sleep(Duration::from_millis(2001)).await;
    }
    console.expect_no_event().await;
    assert!(console.state().running.is_some());
    console.cancel();
    console.cancel();
    console.expect_events(&[GIVEN_UP, "done"]).await;
    console.expect_no_event().await;
}

/// The play and the connection both notice the loss.
#[tokio::test(start_paused = true)]
async fn play_reports_the_lost_connection_as_its_error() {
    for is_noticed_first in [true, false] {
        let mut console = Console::with_inputs(&["let x = 1"]).await;
        let playing = console.begin("pay(100)").await;
        console.submit("balance()");
        if is_noticed_first {
            console.circle.lose();
            console.expect_no_event().await;
            playing.fail(fake::lost()).await;
        } else {
            console.circle.lose_unnoticed();
            playing.fail(fake::lost()).await;
        }
        let event = console.event_text().await;
        assert!(event.starts_with("error ") && event.contains("check before you retry them"), "{event}");
        console.expect_events(&[r#"given back ["balance()"]"#, "lost", "done"]).await;
        console.circle.accept().await;
        let gone = format!(
            "{RECONNECTED}; variables from 1 input are gone (:replay runs it again, :save FILE keeps it as a script)"
        );
        console.expect_events(&["connected again", &gone, "ready"]).await;
        // The session does not play it again.
        console.expect_no_event().await;
    }
}

#[tokio::test(start_paused = true)]
async fn loss_after_a_finished_play_is_reported() {
    let mut console = Console::ready().await;
    let playing = console.begin("1").await;
    console.circle.lose();
    settle().await;
    // The answer arrived before the loss.
    playing.answer(1).await;
    console.expect_events(&["value 1", "lost", LOST, "done"]).await;
    console.circle.accept().await;
    let gone = format!(
        "{RECONNECTED}; variables from 1 input are gone (:replay runs it again, :save FILE keeps it as a script)"
    );
    console.expect_events(&["connected again", &gone, "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn loss_after_a_cancelled_or_abandoned_play_is_reported() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    console.cancel();
    console.circle.lose();
    settle().await;
    playing.cancel().await;
    console.expect_events(&[CANCELLED, "lost", LOST, "done"]).await;
    console.circle.accept().await;
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
    let _playing = console.begin("loop {}").await;
    console.circle.lose();
    settle().await;
    console.cancel();
    console.cancel();
    console.expect_events(&[GIVEN_UP, "done", "lost", LOST]).await;
}

#[tokio::test(start_paused = true)]
async fn play_on_a_dead_connection_reports_one_loss() {
    let mut console = Console::ready().await;
    console.circle.lose_unnoticed();
    console.begin("1").await.fail(client_ws::ClientError::NotConnected).await;
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["lost", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn oversized_script_is_returned() {
    let mut console = Console::open(ConsoleSetup { access: Access::Open, ..ConsoleSetup::default() });
    console.circle.limits = Limits { message_kib: 1, ..Limits::default() };
    let large = format!("\"{}\"", "x".repeat(2000));
    // Before the session knows the message limit.
    console.submit(&large);
    console.circle.accept().await;
    let why = "error the input has 2 KiB, and the circle accepts messages up to 1 KiB: split it";
    let back = format!("given back {:?}", [&large]);
    console.expect_events(&["connected first", "ready", why, &back]).await;
    console.submit(&large);
    console.expect_events(&[why, &back]).await;
    console.expect_no_event().await;
    console.begin("1").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
}
