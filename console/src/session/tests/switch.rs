//! Tests of the `:key` command and of switching keys.

use client_ws::{ClientError, RpcError};
use protocol::methods::Access;

use super::{Console, ConsoleSetup, LOST, RECONNECTED, UNREACHABLE, fake::lost, key, keypair, settle};
use crate::session::{CallerIdentity, ConnectionStatus};

const AS_BOB: [&str; 2] = [
    "note a session cannot change its key: reconnecting as bob",
    "note variables are gone; :replay runs your inputs again, :save FILE keeps them as a script",
];

#[tokio::test(start_paused = true)]
async fn key_command_authenticates_an_anonymous_session_in_place() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.submit(":key alice");
    console.expect_events(&["began :key alice", "unlock alice"]).await;
    // The input behind the command is played as alice.
    console.submit("x");
    console.expect_no_event().await;
    console.unlock("alice");
    assert_eq!(console.circle.admit().await, keypair("alice").public_key());
    console.expect_events(&["done", "ready", "began x"]).await;
    console.circle.plays("x").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    let state = console.state();
    assert!(state.inputs == 2 && state.authenticated() == Some(&key("alice")), "{state:?}");
    assert_eq!(console.circle.disconnections(), 0);
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_with_an_unlocked_key_requests_nothing() {
    let mut console = Console::ready().await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.submit(":key alice");
    console.circle.admit().await;
    console.expect_events(&["began :key alice", "done", "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_with_the_current_key_reports_it() {
    let mut console = Console::alice().await;
    console.submit(":key alice");
    console.expect_events(&["began :key alice", "remark already using key alice", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_with_another_key_is_forwarded() {
    let mut console = Console::alice().await;
    console.submit(":key bob");
    console.expect_events(&["began :key bob", "request UseKey(KeyName(\"bob\"))", "done"]).await;
    console.expect_no_event().await;
    assert_eq!(console.state().key, Some(key("alice")));
}

#[tokio::test(start_paused = true)]
async fn key_command_on_a_scratch_circle_is_refused() {
    let mut console =
        Console::open(ConsoleSetup { access: Access::Members, is_scratch: true, ..ConsoleSetup::default() });
    console.connect().await;
    console.circle.admit().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.submit(":key alice");
    assert_eq!(console.event_text().await, "began :key alice");
    assert!(console.event_text().await.starts_with("remark the scratch circle accepts only its own key"));
    console.expect_events(&["remark   to use your key, switch to another circle: :use WHERE", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_the_key_stays_locked() {
    let mut console = Console::ready().await;
    console.submit(":key alice");
    console.submit("1");
    console.expect_events(&["began :key alice", "unlock alice"]).await;
    console.stays_locked("alice");
    console.expect_events(&["done", "ready", "began 1"]).await;
    assert_eq!(console.state().key, None);
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_the_circle_does_not_admit_the_key() {
    let mut console = Console::ready().await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.submit(":key alice");
    console.submit("1");
    console.circle.reject(RpcError::InvalidCredentials.into()).await;
    assert_eq!(console.event_text().await, "began :key alice");
    assert!(console.event_text().await.starts_with("not admitted alice: "));
    console.expect_events(&["done", r#"given back ["1"]"#]).await;
    console.expect_no_event().await;
    // The session is unchanged.
    let state = console.state();
    assert!(state.is_ready() && state.key.is_none(), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_the_outcome_is_unknown() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.submit(":key alice");
    console.circle.reject(lost()).await;
    assert_eq!(console.event_text().await, "began :key alice");
    assert!(console.event_text().await.starts_with("not admitted alice: "));
    console.expect_events(&["done"]).await;
    console.circle.accept().await;
    let gone = format!(
        "{RECONNECTED}; variables from 1 input are gone (:replay runs it again, :save FILE keeps it as a script)"
    );
    console.expect_events(&["connected again", &gone, "ready"]).await;
    // A key that failed to authenticate is not used later.
    console.expect_no_event().await;
    assert_eq!(console.state().key, None);
}

#[tokio::test(start_paused = true)]
async fn key_command_connects_first_where_there_is_no_connection() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.submit(":key alice");
    console.circle.accept().await;
    console.expect_events(&["began :key alice", "connected again", RECONNECTED, "unlock alice"]).await;
    console.unlock("alice");
    console.circle.admit().await;
    console.expect_events(&["done", "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_the_circle_is_gone() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.submit(":key alice");
    console.submit("1");
    console.circle.refuse().await;
    console.expect_events(&["began :key alice", UNREACHABLE, "done", r#"given back ["1"]"#]).await;
    // Later connections do not use the key.
    console.circle.accept().await;
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_it_is_cancelled_while_it_connects() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.submit(":key alice");
    let attempt = console.circle.attempt().await;
    assert_eq!(console.event_text().await, "began :key alice");
    console.cancel();
    console.expect_events(&["remark not connected", "done"]).await;
    assert!(attempt.is_closed());
    assert_eq!(console.state().key, None);
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_it_is_cancelled_while_it_authenticates() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.submit(":key alice");
    let (_, reply) = console.circle.key().await;
    assert_eq!(console.event_text().await, "began :key alice");
    console.cancel();
    // The identity is unknown, so the session closes the connection.
    console.expect_events(&["remark not connected", "done"]).await;
    assert!(reply.is_closed() && console.circle.disconnections() == 1);
    console.circle.accept().await;
    let gone = format!(
        "{RECONNECTED}; variables from 1 input are gone (:replay runs it again, :save FILE keeps it as a script)"
    );
    console.expect_events(&["connected again", &gone, "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_the_connection_is_lost_meanwhile() {
    let mut console = Console::ready().await;
    console.submit(":key alice");
    console.submit("1");
    console.expect_events(&["began :key alice", "unlock alice"]).await;
    console.circle.lose();
    console.expect_events(&["done", r#"given back ["1"]"#, "lost", LOST]).await;
    // The key is unlocked too late.
    console.unlock("alice");
    console.circle.accept().await;
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
    console.expect_no_event().await;
    assert_eq!(console.state().identity, CallerIdentity::Anonymous);
}

#[tokio::test(start_paused = true)]
async fn key_command_waits_for_a_play_and_inputs_wait_for_it() {
    let mut console = Console::ready().await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    let playing = console.begin("1").await;
    console.submit(":key alice");
    console.submit("2");
    console.expect_no_event().await;
    playing.answer(1).await;
    console.expect_events(&["value 1", "done", "began :key alice"]).await;
    console.circle.admit().await;
    console.expect_events(&["done", "ready", "began 2"]).await;
    console.circle.plays("2").await.answer(2).await;
}

#[tokio::test(start_paused = true)]
async fn another_key_reconnects_and_loses_variables() {
    let mut console = Console::alice().await;
    console.play_to_end("let x = 1").await;
    console.keys.ring.insert(key("bob"), keypair("bob").into());
    console.session.use_key(key("bob")).expect("there is room");
    console.expect_events(&AS_BOB).await;
    assert_eq!(console.circle.disconnections(), 1);
    console.circle.accept().await;
    assert_eq!(console.circle.admit().await, keypair("bob").public_key());
    // The lost variables were already reported.
    let again = RECONNECTED.replace(" with", " as bob with");
    console.expect_events(&["connected again", &again, "ready"]).await;
    console.expect_no_event().await;
    assert_eq!(console.state().authenticated(), Some(&key("bob")));
}

#[tokio::test(start_paused = true)]
async fn another_key_that_stays_locked_changes_nothing() {
    let mut console = Console::alice().await;
    console.play_to_end("let x = 1").await;
    console.session.use_key(key("bob")).expect("there is room");
    console.expect_events(&["unlock bob"]).await;
    // The input waits for the decision about the key.
    console.submit("x");
    console.expect_no_event().await;
    console.stays_locked("bob");
    console.expect_events(&["began x"]).await;
    console.circle.plays("x").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    let state = console.state();
    assert!(state.authenticated() == Some(&key("alice")) && state.key == Some(key("alice")), "{state:?}");
    assert!(state.inputs == 2 && console.circle.disconnections() == 0, "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn another_key_returns_waiting_inputs_and_ends_the_running_one() {
    let mut console = Console::alice().await;
    let mut playing = console.begin("loop {}").await;
    console.session.use_key(key("bob")).expect("there is room");
    console.expect_events(&["unlock bob"]).await;
    console.submit("x");
    console.unlock("bob");
    console.expect_events(&["done", r#"given back ["x"]"#, AS_BOB[0]]).await;
    playing.cancelled().await;
    console.circle.accept().await;
    console.circle.admit().await;
    let again = RECONNECTED.replace(" with", " as bob with");
    console.expect_events(&["connected again", &again, "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn another_key_that_is_not_admitted_is_reported_once() {
    let mut console = Console::alice().await;
    console.keys.ring.insert(key("bob"), keypair("bob").into());
    console.session.use_key(key("bob")).expect("there is room");
    console.expect_events(&AS_BOB[..1]).await;
    console.circle.accept().await;
    console.circle.reject(ClientError::Rpc(RpcError::InvalidCredentials)).await;
    console.expect_events(&["connected again", RECONNECTED]).await;
    assert!(console.event_text().await.starts_with("not admitted bob: "));
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn another_key_on_an_unreachable_circle_fails_once_and_retries() {
    let mut console = Console::alice().await;
    console.keys.ring.insert(key("bob"), keypair("bob").into());
    console.session.use_key(key("bob")).expect("there is room");
    console.expect_events(&AS_BOB[..1]).await;
    console.circle.refuse().await;
    console.expect_events(&[UNREACHABLE]).await;
    console.expect_no_event().await;
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
    console.circle.accept().await;
    assert_eq!(console.circle.admit().await, keypair("bob").public_key());
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_its_user_disconnects() {
    let mut console = Console::open(ConsoleSetup { key: Some("bob"), unlocked: &["bob"], ..ConsoleSetup::default() });
    console.connect().await;
    console.circle.reject(RpcError::InvalidCredentials.into()).await;
    assert_eq!(console.event_text().await, "connected first");
    assert!(console.event_text().await.starts_with("not admitted bob: "));
    console.submit(":key alice");
    console.expect_events(&["began :key alice", "unlock alice"]).await;
    console.session.disconnect().expect("there is room");
    console.expect_events(&["done", "note disconnected; variables are gone"]).await;
    console.expect_no_event().await;
    assert_eq!(console.state().key, None);
}
