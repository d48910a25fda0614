//! The first connection, those after it, and the waits between them.

use std::time::Duration;

use client_ws::ClientError;
use tokio::time::Instant;

use protocol::methods::Access;

use super::{AGAIN, Console, LOST, Setup, UNREACHABLE, fake::lost, settle};
use crate::session::ConnectionStatus;

#[tokio::test(start_paused = true)]
async fn first_connection_is_reported_and_ready() {
    let mut console = Console::open(Setup::default());
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
    console.session.connect(false).expect("there is room");
    let attempt = console.circle.attempt().await;
    assert_eq!(console.state().connection, ConnectionStatus::Connecting);
    console.circle.answer(attempt);
    console.says(&["connected first", "ready"]).await;
    let state = console.state();
    assert!(state.is_ready() && state.is_reconnect_enabled && !state.is_settling(), "{state:?}");
    assert_eq!(state.circle.expect("it described itself").name, "team");
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn failed_connection_gives_back_what_waited() {
    let mut console = Console::open(Setup::default());
    console.submit("1");
    console.submit("2");
    settle().await;
    assert_eq!(console.state().waiting, 2);
    console.circle.refuse().await;
    console.says(&[UNREACHABLE, r#"given back ["1", "2"]"#]).await;
    // Nobody said that the connection is to be kept.
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.is_quiet().await;
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn connection_to_keep_is_tried_again_in_silence() {
    let mut console = Console::open(Setup::default());
    console.session.connect(true).expect("there is room");
    console.circle.refuse().await;
    console.says(&[UNREACHABLE]).await;
    for _ in 0..5 {
        console.circle.refuse().await;
    }
    console.circle.accept().await;
    console.says(&["connected first", "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn reconnect_backs_off_and_says_what_was_lost() {
    let mut console = Console::with_inputs(&["let x = 1", "let y = 2"]).await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    let mut longest = Duration::from_millis(250);
    for _ in 0..9 {
        let before = Instant::now();
        let attempt = console.circle.attempt().await;
        let pause = before.elapsed();
        // The clock goes in whole milliseconds.
        let (least, most) = (longest / 2, longest + Duration::from_millis(1));
        assert!((least..=most).contains(&pause), "{pause:?} is not half of {longest:?} to all of it");
        attempt.send(Err(lost())).expect("the session waits for it");
        longest = (longest * 2).min(Duration::from_secs(10));
    }
    console.circle.accept().await;
    let gone = format!("{AGAIN}: what 2 inputs had made is gone (:save FILE writes them as a script)");
    console.says(&["connected again", &gone, "ready"]).await;
    // Said once.
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    let before = Instant::now();
    console.circle.accept().await;
    assert!(before.elapsed() <= Duration::from_millis(251), "the pauses begin anew");
    console.says(&["connected again", AGAIN, "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn input_connects_at_once_and_waits_for_the_connection() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    let before = Instant::now();
    console.submit("1");
    console.circle.accept().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    console.says(&["connected again", AGAIN, "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.says(&["value 1", "done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn input_on_a_circle_that_is_gone_is_given_back_and_the_connection_still_tried() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.submit("1");
    console.circle.refuse().await;
    console.says(&[UNREACHABLE, r#"given back ["1"]"#]).await;
    console.circle.refuse().await;
    console.circle.accept().await;
    console.says(&["connected again", AGAIN, "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn retry_connects_at_once_without_a_user_who_waits() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    let before = Instant::now();
    console.session.retry().expect("there is room");
    console.circle.refuse().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    console.is_quiet().await;
    console.circle.accept().await;
    console.says(&["connected again", AGAIN, "ready"]).await;
    // Where there is a connection, there is nothing to retry.
    console.session.retry().expect("there is room");
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn retry_makes_no_connection_that_nobody_wants() {
    let mut console = Console::open(Setup::default());
    console.session.retry().expect("there is room");
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn refusal_of_the_circle_ends_the_attempts_until_the_user_tries() {
    let refused =
        || ClientError::Refused { url: "ws://team:9001/".to_owned(), status: 403, reason: "not from there".to_owned() };
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.refuse_with(refused()).await;
    let said = "the circle at ws://team:9001 refuses the connection: not from there";
    console.says(&[&format!("warning {said}; ask its operator; Enter tries again")]).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.is_quiet().await;
    // Whoever waits for it is answered by the error, and once.
    console.submit("1");
    console.circle.refuse_with(refused()).await;
    console.says(&[&format!("connect failed: {said}"), r#"given back ["1"]"#]).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn cancel_stops_a_connection_that_is_being_made() {
    let mut console = Console::open(Setup::default());
    console.session.connect(false).expect("there is room");
    console.submit("1");
    let attempt = console.circle.attempt().await;
    settle().await;
    console.cancel();
    console.says(&["remark not connected", r#"given back ["1"]"#]).await;
    assert!(attempt.is_closed(), "nobody waits for it");
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn cancelled_connection_that_is_kept_is_tried_again() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.submit("1");
    let _attempt = console.circle.attempt().await;
    settle().await;
    console.cancel();
    console.says(&["remark not connected", r#"given back ["1"]"#]).await;
    console.circle.accept().await;
    console.says(&["connected again", AGAIN, "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn cancel_leaves_a_connection_that_stands() {
    let mut console = Console::ready().await;
    console.cancel();
    console.is_quiet().await;
    // Nobody waits for a connection that is there.
    console.session.connect(true).expect("there is room");
    console.says(&["ready"]).await;
    console.cancel();
    console.is_quiet().await;
    assert!(console.state().is_ready() && console.circle.disconnections() == 0);
}

#[tokio::test(start_paused = true)]
async fn attempt_that_nobody_waits_for_is_not_cancelled() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    let attempt = console.circle.attempt().await;
    console.cancel();
    console.is_quiet().await;
    console.circle.answer(attempt);
    console.says(&["connected again", AGAIN, "ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn disconnect_is_for_good_until_the_user_connects() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.session.disconnect().expect("there is room");
    console.says(&["note disconnected; variables are gone"]).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.session.retry().expect("there is room");
    console.is_quiet().await;
    let state = console.state();
    assert!(
        state.connection == ConnectionStatus::Disconnected && !state.is_reconnect_enabled && state.inputs == 0,
        "{state:?}"
    );
    console.submit("1");
    console.circle.accept().await;
    // What was lost was said when it was given up.
    console.says(&["connected again", AGAIN, "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.says(&["value 1", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn disconnect_ends_what_runs_and_gives_back_what_waits() {
    let mut console = Console::ready().await;
    let mut playing = console.begin("loop {}").await;
    console.submit("2");
    console.session.disconnect().expect("there is room");
    console.says(&["done", r#"given back ["2"]"#, "note disconnected; variables are gone"]).await;
    playing.cancelled().await;
    console.is_quiet().await;
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
async fn inputs_wait_for_a_circle_that_is_being_started() {
    let mut console = Console::open(Setup::default());
    console.session.wait_for_start().expect("there is room");
    console.submit("1");
    for _ in 0..10 {
        console.circle.refuse().await;
    }
    console.submit("2");
    console.is_quiet().await;
    console.circle.accept().await;
    console.says(&["connected first", "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.says(&["value 1", "done", "began 2"]).await;
    console.circle.plays("2").await.answer(2).await;
    console.says(&["value 2", "done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn inputs_that_wait_for_a_circle_that_is_being_started_are_given_back_by_cancel() {
    let mut console = Console::open(Setup::default());
    console.session.wait_for_start().expect("there is room");
    console.submit("1");
    console.circle.refuse().await;
    settle().await;
    console.cancel();
    console.says(&[r#"given back ["1"]"#]).await;
    // The circle is started all the same.
    console.circle.accept().await;
    console.says(&["connected first", "ready"]).await;
    console.is_quiet().await;
}

/// A key that is named while the circle is being started.
#[tokio::test(start_paused = true)]
async fn key_command_waits_for_a_circle_that_is_being_started() {
    let mut console = Console::open(Setup { access: Access::Members, ..Setup::default() });
    console.session.wait_for_start().expect("there is room");
    console.submit(":key bob");
    console.says(&["began :key bob"]).await;
    console.circle.refuse().await;
    console.is_quiet().await;
    console.circle.accept().await;
    console.says(&["connected first", "unlock bob"]).await;
    console.unlock("bob");
    console.circle.admit().await;
    console.says(&["done", "ready"]).await;
    console.is_quiet().await;
}
