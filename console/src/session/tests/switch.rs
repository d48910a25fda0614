//! The `:key` command, and another key in the place of the one that a session is authenticated with.

use client_ws::{ClientError, RpcError};
use protocol::methods::Access;

use super::{AGAIN, Console, LOST, Setup, UNREACHABLE, fake::lost, key, keypair, settle};
use crate::session::{CallerIdentity, ConnectionStatus};

const AS_BOB: [&str; 2] = [
    "note a session is one key's for good: connecting anew as bob",
    "note variables are gone; :save FILE writes what was played",
];

#[tokio::test(start_paused = true)]
async fn key_command_authenticates_an_anonymous_session_in_place() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.submit(":key alice");
    console.says(&["began :key alice", "unlock alice"]).await;
    // What was typed after it is played as alice.
    console.submit("x");
    console.is_quiet().await;
    console.unlock("alice");
    assert_eq!(console.circle.admit().await, keypair("alice").public_key());
    console.says(&["done", "ready", "began x"]).await;
    console.circle.plays("x").await.answer(1).await;
    console.says(&["value 1", "done"]).await;
    let state = console.state();
    assert!(state.inputs == 2 && state.authenticated() == Some(&key("alice")), "{state:?}");
    assert_eq!(console.circle.disconnections(), 0);
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_with_an_unlocked_key_asks_for_nothing() {
    let mut console = Console::ready().await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.submit(":key alice");
    console.circle.admit().await;
    console.says(&["began :key alice", "done", "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_with_the_key_of_the_session_says_so() {
    let mut console = Console::alice().await;
    console.submit(":key alice");
    console.says(&["began :key alice", "remark you are alice here", "done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_leaves_another_key_to_the_console() {
    let mut console = Console::alice().await;
    console.submit(":key bob");
    console.says(&["began :key bob", "request AnotherKey(KeyName(\"bob\"))", "done"]).await;
    console.is_quiet().await;
    assert_eq!(console.state().key, Some(key("alice")));
}

#[tokio::test(start_paused = true)]
async fn key_command_on_a_scratch_circle_says_that_it_has_its_own() {
    let mut console = Console::open(Setup { access: Access::Members, is_scratch: true, ..Setup::default() });
    console.connect().await;
    console.circle.admit().await;
    console.says(&["connected first", "ready"]).await;
    console.submit(":key alice");
    assert_eq!(console.said().await, "began :key alice");
    assert!(console.said().await.starts_with("remark the throw-away circle knows the key"));
    console.says(&["remark   go to a circle: :use WHERE", "done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_the_key_stays_locked() {
    let mut console = Console::ready().await;
    console.submit(":key alice");
    console.submit("1");
    console.says(&["began :key alice", "unlock alice"]).await;
    console.stays_locked("alice");
    console.says(&["done", "ready", "began 1"]).await;
    assert_eq!(console.state().key, None);
    console.circle.plays("1").await.answer(1).await;
    console.says(&["value 1", "done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_the_circle_does_not_admit_the_key() {
    let mut console = Console::ready().await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.submit(":key alice");
    console.submit("1");
    console.circle.turn_away(RpcError::InvalidCredentials.into()).await;
    assert_eq!(console.said().await, "began :key alice");
    assert!(console.said().await.starts_with("not admitted alice: "));
    console.says(&["done", r#"given back ["1"]"#]).await;
    console.is_quiet().await;
    // The session goes on as it was.
    let state = console.state();
    assert!(state.is_ready() && state.key.is_none(), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_nobody_knows_the_outcome() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.submit(":key alice");
    console.circle.turn_away(lost()).await;
    assert_eq!(console.said().await, "began :key alice");
    assert!(console.said().await.starts_with("not admitted alice: "));
    console.says(&["done"]).await;
    console.circle.accept().await;
    let gone = format!("{AGAIN}: what 1 input had made is gone (:save FILE writes it as a script)");
    console.says(&["connected again", &gone, "ready"]).await;
    // A key that could not be authenticated is not authenticated later.
    console.is_quiet().await;
    assert_eq!(console.state().key, None);
}

#[tokio::test(start_paused = true)]
async fn key_command_connects_first_where_there_is_no_connection() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.submit(":key alice");
    console.circle.accept().await;
    console.says(&["began :key alice", "connected again", AGAIN, "unlock alice"]).await;
    console.unlock("alice");
    console.circle.admit().await;
    console.says(&["done", "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_the_circle_is_gone() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.submit(":key alice");
    console.submit("1");
    console.circle.refuse().await;
    console.says(&["began :key alice", UNREACHABLE, "done", r#"given back ["1"]"#]).await;
    // Later connections are made without it.
    console.circle.accept().await;
    console.says(&["connected again", AGAIN, "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_it_is_cancelled_while_it_connects() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.submit(":key alice");
    let attempt = console.circle.attempt().await;
    assert_eq!(console.said().await, "began :key alice");
    console.cancel();
    console.says(&["remark not connected", "done"]).await;
    assert!(attempt.is_closed());
    assert_eq!(console.state().key, None);
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_it_is_cancelled_while_it_authenticates() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.submit(":key alice");
    let (_, reply) = console.circle.key().await;
    assert_eq!(console.said().await, "began :key alice");
    console.cancel();
    // Whose the session would be is not known: the connection goes.
    console.says(&["remark not connected", "done"]).await;
    assert!(reply.is_closed() && console.circle.disconnections() == 1);
    console.circle.accept().await;
    let gone = format!("{AGAIN}: what 1 input had made is gone (:save FILE writes it as a script)");
    console.says(&["connected again", &gone, "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_the_connection_is_lost_meanwhile() {
    let mut console = Console::ready().await;
    console.submit(":key alice");
    console.submit("1");
    console.says(&["began :key alice", "unlock alice"]).await;
    console.circle.lose();
    console.says(&["done", r#"given back ["1"]"#, "lost", LOST]).await;
    // The passphrase comes too late.
    console.unlock("alice");
    console.circle.accept().await;
    console.says(&["connected again", AGAIN, "ready"]).await;
    console.is_quiet().await;
    assert_eq!(console.state().identity, CallerIdentity::Anonymous);
}

#[tokio::test(start_paused = true)]
async fn key_command_waits_for_a_play_and_inputs_wait_for_it() {
    let mut console = Console::ready().await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    let playing = console.begin("1").await;
    console.submit(":key alice");
    console.submit("2");
    console.is_quiet().await;
    playing.answer(1).await;
    console.says(&["value 1", "done", "began :key alice"]).await;
    console.circle.admit().await;
    console.says(&["done", "ready", "began 2"]).await;
    console.circle.plays("2").await.answer(2).await;
}

#[tokio::test(start_paused = true)]
async fn another_key_takes_another_connection_and_the_variables_are_gone() {
    let mut console = Console::alice().await;
    console.plays("let x = 1").await;
    console.keys.ring.insert(key("bob"), keypair("bob").into());
    console.session.use_key(key("bob")).expect("there is room");
    console.says(&AS_BOB).await;
    assert_eq!(console.circle.disconnections(), 1);
    console.circle.accept().await;
    assert_eq!(console.circle.admit().await, keypair("bob").public_key());
    // That the variables are gone is said already.
    let again = AGAIN.replace(',', " as bob,");
    console.says(&["connected again", &again, "ready"]).await;
    console.is_quiet().await;
    assert_eq!(console.state().authenticated(), Some(&key("bob")));
}

#[tokio::test(start_paused = true)]
async fn another_key_that_stays_locked_costs_nothing() {
    let mut console = Console::alice().await;
    console.plays("let x = 1").await;
    console.session.use_key(key("bob")).expect("there is room");
    console.says(&["unlock bob"]).await;
    // Typed for whoever the session is by then.
    console.submit("x");
    console.is_quiet().await;
    console.stays_locked("bob");
    console.says(&["began x"]).await;
    console.circle.plays("x").await.answer(1).await;
    console.says(&["value 1", "done"]).await;
    let state = console.state();
    assert!(state.authenticated() == Some(&key("alice")) && state.key == Some(key("alice")), "{state:?}");
    assert!(state.inputs == 2 && console.circle.disconnections() == 0, "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn another_key_gives_back_what_was_typed_before_and_ends_what_runs() {
    let mut console = Console::alice().await;
    let mut playing = console.begin("loop {}").await;
    console.session.use_key(key("bob")).expect("there is room");
    console.says(&["unlock bob"]).await;
    console.submit("x");
    console.unlock("bob");
    console.says(&["done", r#"given back ["x"]"#, AS_BOB[0]]).await;
    playing.cancelled().await;
    console.circle.accept().await;
    console.circle.admit().await;
    let again = AGAIN.replace(',', " as bob,");
    console.says(&["connected again", &again, "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn another_key_that_is_not_admitted_is_reported_once() {
    let mut console = Console::alice().await;
    console.keys.ring.insert(key("bob"), keypair("bob").into());
    console.session.use_key(key("bob")).expect("there is room");
    console.says(&AS_BOB[..1]).await;
    console.circle.accept().await;
    console.circle.turn_away(ClientError::Rpc(RpcError::InvalidCredentials)).await;
    console.says(&["connected again", AGAIN]).await;
    assert!(console.said().await.starts_with("not admitted bob: "));
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn another_key_where_the_circle_is_gone_fails_once_and_is_tried_again() {
    let mut console = Console::alice().await;
    console.keys.ring.insert(key("bob"), keypair("bob").into());
    console.session.use_key(key("bob")).expect("there is room");
    console.says(&AS_BOB[..1]).await;
    console.circle.refuse().await;
    console.says(&[UNREACHABLE]).await;
    console.is_quiet().await;
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
    console.circle.accept().await;
    assert_eq!(console.circle.admit().await, keypair("bob").public_key());
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn key_command_ends_once_where_its_user_disconnects() {
    let mut console = Console::open(Setup { key: Some("bob"), unlocked: &["bob"], ..Setup::default() });
    console.connect().await;
    console.circle.turn_away(RpcError::InvalidCredentials.into()).await;
    assert_eq!(console.said().await, "connected first");
    assert!(console.said().await.starts_with("not admitted bob: "));
    console.submit(":key alice");
    console.says(&["began :key alice", "unlock alice"]).await;
    console.session.disconnect().expect("there is room");
    console.says(&["done", "note disconnected; variables are gone"]).await;
    console.is_quiet().await;
    assert_eq!(console.state().key, None);
}
