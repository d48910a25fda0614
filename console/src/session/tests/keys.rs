//! Tests of choosing keys and authenticating.

use std::time::Duration;

use client_ws::{ClientError, RpcError};
use protocol::methods::Access;

use super::{Console, ConsoleSetup, LOST, RECONNECTED, fake::lost, key, keypair, settle};
use crate::session::{CallerIdentity, ConnectionStatus};

#[tokio::test(start_paused = true)]
async fn open_circle_asks_for_no_key() {
    let setup = ConsoleSetup { preferred: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() };
    let mut console = Console::open(setup);
    console.connect().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.expect_no_event().await;
    assert_eq!(console.state().identity, CallerIdentity::Anonymous);
}

#[tokio::test(start_paused = true)]
async fn members_circle_requests_the_default_key_and_authenticates_once_it_is_unlocked() {
    let mut console =
        Console::open(ConsoleSetup { access: Access::Members, preferred: Some("alice"), ..ConsoleSetup::default() });
    console.connect().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.submit("1");
    console.expect_no_event().await;
    console.unlock("alice");
    let (public, reply) = console.circle.key().await;
    assert_eq!(public, keypair("alice").public_key());
    assert!(console.state().is_settling() && !console.state().is_ready());
    reply.send(Ok(())).expect("the session waits for it");
    console.expect_events(&["ready", "began 1"]).await;
    assert_eq!(console.state().authenticated(), Some(&key("alice")));
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn connection_that_ends_while_a_key_is_unlocked_is_made_again_for_it() {
    let mut console =
        Console::open(ConsoleSetup { access: Access::Members, preferred: Some("alice"), ..ConsoleSetup::default() });
    console.connect().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.submit("1");
    // A circle may close anonymous connections.
    console.circle.lose();
    console.expect_no_event().await;
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
    console.unlock("alice");
    console.circle.accept().await;
    assert_eq!(console.circle.admit().await, keypair("alice").public_key());
    console.expect_events(&["connected again", "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn connection_that_ends_while_a_key_stays_locked_is_made_again_for_an_input() {
    let mut console =
        Console::open(ConsoleSetup { access: Access::Members, preferred: Some("alice"), ..ConsoleSetup::default() });
    console.connect().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.circle.lose();
    settle().await;
    console.stays_locked("alice");
    settle().await;
    console.remaining_events().await;
    console.submit("1");
    console.circle.accept().await;
    console.expect_events(&["connected again", "unlock alice"]).await;
}

#[tokio::test(start_paused = true)]
async fn unlocked_key_authenticates_at_once() {
    let setup = ConsoleSetup {
        access: Access::Authenticated,
        preferred: Some("alice"),
        unlocked: &["alice"],
        ..ConsoleSetup::default()
    };
    let mut console = Console::open(setup);
    console.connect().await;
    assert_eq!(console.circle.admit().await, keypair("alice").public_key());
    console.expect_events(&["connected first", "ready"]).await;
    assert_eq!(console.state().key, Some(key("alice")));
}

#[tokio::test(start_paused = true)]
async fn scratch_circle_admits_the_key_that_was_made_for_it() {
    let mut console =
        Console::open(ConsoleSetup { access: Access::Members, is_scratch: true, ..ConsoleSetup::default() });
    console.connect().await;
    assert_eq!(console.circle.admit().await, keypair("owner").public_key());
    console.expect_events(&["connected first", "ready"]).await;
    assert_eq!(console.state().identity, CallerIdentity::Owner);
    assert_eq!(console.state().authenticated(), None);
}

#[tokio::test(start_paused = true)]
async fn missing_key_is_requested_and_inputs_wait() {
    let mut console = Console::open(ConsoleSetup { access: Access::Authenticated, ..ConsoleSetup::default() });
    console.connect().await;
    console.expect_events(&["connected first", "no key for authenticated"]).await;
    console.submit("1");
    console.expect_events(&["no key for authenticated"]).await;
    console.expect_no_event().await;
    assert_eq!(console.state().waiting, 1);
    console.cancel();
    console.expect_events(&[r#"given back ["1"]"#]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn broken_keystore_is_reported() {
    let mut console =
        Console::open(ConsoleSetup { access: Access::Members, is_broken: true, ..ConsoleSetup::default() });
    console.connect().await;
    console.expect_events(&["connected first", "not admitted: cannot read the keystore: it is a file"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn named_key_authenticates_on_an_open_circle_before_anything_is_played() {
    let mut console = Console::open(ConsoleSetup { key: Some("alice"), ..ConsoleSetup::default() });
    console.submit("1");
    console.circle.accept().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.expect_no_event().await;
    console.unlock("alice");
    let (_, reply) = console.circle.key().await;
    console.expect_no_event().await;
    reply.send(Ok(())).expect("the session waits for it");
    console.expect_events(&["ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
}

#[tokio::test(start_paused = true)]
async fn locked_key_lets_waiting_inputs_run_on_an_open_circle() {
    let mut console = Console::open(ConsoleSetup { key: Some("alice"), ..ConsoleSetup::default() });
    console.submit("1");
    console.circle.accept().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.stays_locked("alice");
    console.expect_events(&["ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    assert_eq!(console.state().key, None, "the key is not tried again");
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn locked_key_returns_waiting_inputs_on_a_members_circle() {
    let mut console =
        Console::open(ConsoleSetup { access: Access::Members, preferred: Some("alice"), ..ConsoleSetup::default() });
    console.submit("1");
    console.circle.accept().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.stays_locked("alice");
    console.expect_events(&[r#"given back ["1"]"#]).await;
    console.expect_no_event().await;
    // The next input asks for the key again.
    console.submit("2");
    console.expect_events(&["unlock alice"]).await;
    console.unlock("alice");
    console.circle.admit().await;
    console.expect_events(&["ready", "began 2"]).await;
}

#[tokio::test(start_paused = true)]
async fn unlock_of_another_key_is_ignored() {
    let mut console =
        Console::open(ConsoleSetup { access: Access::Members, preferred: Some("alice"), ..ConsoleSetup::default() });
    console.connect().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.stays_locked("bob");
    console.unlock("bob");
    console.expect_no_event().await;
    console.unlock("alice");
    assert_eq!(console.circle.admit().await, keypair("alice").public_key());
    console.expect_events(&["ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn rejected_key_returns_waiting_inputs() {
    let setup = ConsoleSetup {
        access: Access::Members,
        preferred: Some("alice"),
        unlocked: &["alice"],
        ..ConsoleSetup::default()
    };
    let mut console = Console::open(setup);
    console.submit("1");
    console.circle.accept().await;
    let reason = "not a member".to_owned();
    console.circle.reject(RpcError::forbidden(reason).into()).await;
    assert_eq!(console.event_text().await, "connected first");
    let event = console.event_text().await;
    assert!(event.starts_with("not admitted alice: ") && event.ends_with("not a member"), "{event}");
    console.expect_events(&[r#"given back ["1"]"#]).await;
    console.expect_no_event().await;
    let state = console.state();
    // The circle answered, so the connection stays.
    assert!(state.connection == ConnectionStatus::Connected && !state.is_ready() && state.key.is_none(), "{state:?}");
}

/// Authentications without an answer leave the identity of the session unknown.
#[tokio::test(start_paused = true)]
async fn authentication_without_an_outcome_drops_the_connection() {
    let timed_out = || ClientError::TimedOut { after: Duration::from_secs(10) };
    for (error, word) in [(timed_out as fn() -> ClientError, "no answer"), (lost, "lost the connection")] {
        let mut console =
            Console::open(ConsoleSetup { key: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() });
        console.connect().await;
        assert_eq!(console.event_text().await, "connected first");
        console.submit("1");
        console.circle.reject(error()).await;
        let event = console.event_text().await;
        assert!(event.starts_with("not admitted alice: ") && event.contains(word), "{event}");
        console.expect_events(&[r#"given back ["1"]"#]).await;
        console.expect_no_event().await;
        assert!(console.state().connection == ConnectionStatus::Disconnected && console.circle.disconnections() == 1);
        // The next connection is a new session.
        console.circle.accept().await;
        console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
        console.expect_no_event().await;
    }
}

#[tokio::test(start_paused = true)]
async fn reconnect_authenticates_with_the_same_key_and_reports_it() {
    let mut console = Console::alice().await;
    console.play_to_end("let x = 1").await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.accept().await;
    console.expect_events(&["connected again"]).await;
    let (public, reply) = console.circle.key().await;
    assert_eq!(public, keypair("alice").public_key());
    // The message waits until the identity is known.
    console.expect_no_event().await;
    reply.send(Ok(())).expect("the session waits for it");
    let again = "note reconnected to the circle at ws://team:9001 as alice with a new session; \
                 variables from 1 input are gone (:replay runs it again, :save FILE keeps it as a script)";
    console.expect_events(&[again, "ready"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn reconnect_with_a_rejected_key_reports_both() {
    let mut console = Console::alice().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.accept().await;
    console.circle.reject(RpcError::InvalidCredentials.into()).await;
    console.expect_events(&["connected again", RECONNECTED]).await;
    let event = console.event_text().await;
    assert!(event.starts_with("not admitted alice: "), "{event}");
    console.expect_no_event().await;
    assert_eq!(console.state().identity, CallerIdentity::Anonymous);
}

#[tokio::test(start_paused = true)]
async fn connection_lost_during_authentication_is_reported_once() {
    let mut console =
        Console::open(ConsoleSetup { key: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() });
    console.connect().await;
    assert_eq!(console.event_text().await, "connected first");
    let (_, reply) = console.circle.key().await;
    console.circle.lose();
    // Both report the loss.
    drop(reply.send(Err(lost())));
    let event = console.event_text().await;
    assert!(event.starts_with("not admitted alice: lost the connection"), "{event}");
    console.expect_no_event().await;
    console.circle.accept().await;
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn authenticate_asks_for_the_default_key_on_an_open_circle() {
    let mut console = Console::open(ConsoleSetup { preferred: Some("alice"), ..ConsoleSetup::default() });
    // A disconnected session connects first.
    console.session.authenticate().expect("there is room");
    console.circle.accept().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.session.authenticate().expect("there is room");
    console.expect_events(&["unlock alice"]).await;
    console.unlock("alice");
    console.circle.admit().await;
    console.expect_events(&["ready"]).await;
    // An authenticated session keeps its identity.
    console.session.authenticate().expect("there is room");
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn key_unlocked_by_another_session_is_not_requested_again() {
    let mut console = Console::open(ConsoleSetup { key: Some("alice"), ..ConsoleSetup::default() });
    console.connect().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.session.authenticate().expect("there is room");
    console.circle.admit().await;
    console.expect_events(&["ready"]).await;
    console.submit("1");
    console.expect_events(&["began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    settle().await;
}
