//! Tests of connecting, reconnecting and the pauses between attempts.

use std::time::Duration;

use client_ws::ClientError;
use tokio::time::Instant;

use protocol::methods::Access;

use super::{Console, ConsoleSetup, LOST, RECONNECTED, UNREACHABLE, fake::lost, settle};
use crate::session::ConnectionStatus;

#[tokio::test(start_paused = true)]
async fn first_connection_is_reported_and_ready() {
    let mut console = Console::open(ConsoleSetup::default());
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
    console.session.connect(false).expect("there is room");
    let attempt = console.circle.attempt().await;
    assert_eq!(console.state().connection, ConnectionStatus::Connecting);
    console.circle.answer(attempt);
    console.expect_events(&["connected first", "ready"]).await;
    let state = console.state();
    assert!(state.is_ready() && state.is_reconnect_enabled && !state.is_settling(), "{state:?}");
    assert_eq!(state.circle.expect("it described itself").name, "team");
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn failed_connection_returns_waiting_inputs() {
    let mut console = Console::open(ConsoleSetup::default());
    console.submit("1");
    console.submit("2");
    settle().await;
    assert_eq!(console.state().waiting, 2);
    console.circle.refuse().await;
    console.expect_events(&[UNREACHABLE, r#"given back ["1", "2"]"#]).await;
    // Without `is_kept` the session does not retry.
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.expect_no_event().await;
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn kept_connection_is_retried_silently() {
    let mut console = Console::open(ConsoleSetup::default());
    console.session.connect(true).expect("there is room");
    console.circle.refuse().await;
    console.expect_events(&[UNREACHABLE]).await;
    for _ in 0..5 {
        console.circle.refuse().await;
    }
    console.circle.accept().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn reconnect_backs_off_and_says_what_was_lost() {
    let mut console = Console::with_inputs(&["let x = 1", "let y = 2"]).await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    let mut longest = Duration::from_millis(250);
    for _ in 0..9 {
        let before = Instant::now();
        let attempt = console.circle.attempt().await;
        let pause = before.elapsed();
        // The clock advances in whole milliseconds.
        let (least, most) = (longest / 2, longest + Duration::from_millis(1));
        assert!((least..=most).contains(&pause), "{pause:?} is not half of {longest:?} to all of it");
        attempt.send(Err(lost())).expect("the session waits for it");
        longest = (longest * 2).min(Duration::from_secs(10));
    }
    console.circle.accept().await;
    let gone = format!(
        "{RECONNECTED}; variables from 2 inputs are gone (:replay runs them again, :save FILE keeps them as a script)"
    );
    console.expect_events(&["connected again", &gone, "ready"]).await;
    // Reported only once.
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    let before = Instant::now();
    console.circle.accept().await;
    assert!(before.elapsed() <= Duration::from_millis(251), "the pauses begin anew");
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn input_connects_at_once_and_waits_for_the_connection() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    let before = Instant::now();
    console.submit("1");
    console.circle.accept().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    console.expect_events(&["connected again", RECONNECTED, "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn input_on_an_unreachable_circle_is_returned_and_the_connection_retried() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.submit("1");
    console.circle.refuse().await;
    console.expect_events(&[UNREACHABLE, r#"given back ["1"]"#]).await;
    console.circle.refuse().await;
    console.circle.accept().await;
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn retry_connects_at_once_without_a_user_who_waits() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    let before = Instant::now();
    console.session.retry().expect("there is room");
    console.circle.refuse().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    console.expect_no_event().await;
    console.circle.accept().await;
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
    // A connected session does not retry.
    console.session.retry().expect("there is room");
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn retry_does_not_connect_a_disconnected_session() {
    let mut console = Console::open(ConsoleSetup::default());
    console.session.retry().expect("there is room");
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn rejection_stops_retries_until_the_user_connects() {
    let refused =
        || ClientError::Refused { url: "ws://team:9001/".to_owned(), status: 403, reason: "not from there".to_owned() };
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.refuse_with(refused()).await;
    let message = "the circle at ws://team:9001 refused the connection: not from there";
    console.expect_events(&[&format!("warning {message}; ask its operator; press Enter to try again")]).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.expect_no_event().await;
    // An input gets the error, once.
    console.submit("1");
    console.circle.refuse_with(refused()).await;
    console.expect_events(&[&format!("connect failed: {message}"), r#"given back ["1"]"#]).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn cancel_stops_a_connection_attempt() {
    let mut console = Console::open(ConsoleSetup::default());
    console.session.connect(false).expect("there is room");
    console.submit("1");
    let attempt = console.circle.attempt().await;
    settle().await;
    console.cancel();
    console.expect_events(&["remark not connected", r#"given back ["1"]"#]).await;
    assert!(attempt.is_closed(), "nobody waits for it");
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn cancelled_attempt_of_a_kept_connection_is_retried() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.submit("1");
    let _attempt = console.circle.attempt().await;
    settle().await;
    console.cancel();
    console.expect_events(&["remark not connected", r#"given back ["1"]"#]).await;
    console.circle.accept().await;
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn cancel_keeps_an_established_connection() {
    let mut console = Console::ready().await;
    console.cancel();
    console.expect_no_event().await;
    // An existing connection is not awaited.
    console.session.connect(true).expect("there is room");
    console.expect_events(&["ready"]).await;
    console.cancel();
    console.expect_no_event().await;
    assert!(console.state().is_ready() && console.circle.disconnections() == 0);
}

#[tokio::test(start_paused = true)]
async fn background_attempt_is_not_cancelled() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    let attempt = console.circle.attempt().await;
    console.cancel();
    console.expect_no_event().await;
    console.circle.answer(attempt);
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn disconnect_lasts_until_the_user_connects() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.session.disconnect().expect("there is room");
    console.expect_events(&["note disconnected; variables are gone"]).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.session.retry().expect("there is room");
    console.expect_no_event().await;
    let state = console.state();
    assert!(
        state.connection == ConnectionStatus::Disconnected && !state.is_reconnect_enabled && state.inputs == 0,
        "{state:?}"
    );
    console.submit("1");
    console.circle.accept().await;
    // The lost variables were reported at the disconnection.
    console.expect_events(&["connected again", RECONNECTED, "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn disconnect_ends_the_running_input_and_returns_waiting_inputs() {
    let mut console = Console::ready().await;
    let mut playing = console.begin("loop {}").await;
    console.submit("2");
    console.session.disconnect().expect("there is room");
    console.expect_events(&["done", r#"given back ["2"]"#, "note disconnected; variables are gone"]).await;
    playing.cancelled().await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn session_closes_its_connection_with_its_last_clone() {
    let Console { session, mut events, circle, .. } = Console::ready().await;
    let clone = session.clone();
    drop(session);
    settle().await;
    assert_eq!(circle.disconnections(), 0);
    drop(clone);
    assert!(events.next().await.is_none());
    assert_eq!(circle.disconnections(), 1);
}

#[tokio::test(start_paused = true)]
async fn inputs_wait_for_a_starting_circle() {
    let mut console = Console::open(ConsoleSetup::default());
    console.session.wait_for_start().expect("there is room");
    console.submit("1");
    for _ in 0..10 {
        console.circle.refuse().await;
    }
    console.submit("2");
    console.expect_no_event().await;
    console.circle.accept().await;
    console.expect_events(&["connected first", "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done", "began 2"]).await;
    console.circle.plays("2").await.answer(2).await;
    console.expect_events(&["value 2", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn cancel_returns_inputs_that_wait_for_a_starting_circle() {
    let mut console = Console::open(ConsoleSetup::default());
    console.session.wait_for_start().expect("there is room");
    console.submit("1");
    console.circle.refuse().await;
    settle().await;
    console.cancel();
    console.expect_events(&[r#"given back ["1"]"#]).await;
    // The circle starts all the same.
    console.circle.accept().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.expect_no_event().await;
}

/// A `:key` command while the circle is starting.
#[tokio::test(start_paused = true)]
async fn key_command_waits_for_a_starting_circle() {
    let mut console = Console::open(ConsoleSetup { access: Access::Members, ..ConsoleSetup::default() });
    console.session.wait_for_start().expect("there is room");
    console.submit(":key bob");
    console.expect_events(&["began :key bob"]).await;
    console.circle.refuse().await;
    console.expect_no_event().await;
    console.circle.accept().await;
    console.expect_events(&["connected first", "unlock bob"]).await;
    console.unlock("bob");
    console.circle.admit().await;
    console.expect_events(&["done", "ready"]).await;
    console.expect_no_event().await;
}
