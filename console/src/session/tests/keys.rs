//! Which key a session authenticates with, and when.

use std::time::Duration;

use client_ws::{ClientError, RpcError};
use protocol::methods::Access;

use super::{AGAIN, Console, LOST, Setup, fake::lost, key, keypair, settle};
use crate::session::{CallerIdentity, ConnectionStatus};

#[tokio::test(start_paused = true)]
async fn open_circle_asks_for_no_key() {
    let setup = Setup { preferred: Some("alice"), unlocked: &["alice"], ..Setup::default() };
    let mut console = Console::open(setup);
    console.connect().await;
    console.says(&["connected first", "ready"]).await;
    console.is_quiet().await;
    assert_eq!(console.state().identity, CallerIdentity::Anonymous);
}

#[tokio::test(start_paused = true)]
async fn members_circle_requests_the_default_key_and_authenticates_once_it_is_unlocked() {
    let mut console = Console::open(Setup { access: Access::Members, preferred: Some("alice"), ..Setup::default() });
    console.connect().await;
    console.says(&["connected first", "unlock alice"]).await;
    console.submit("1");
    console.is_quiet().await;
    console.unlock("alice");
    let (public, reply) = console.circle.key().await;
    assert_eq!(public, keypair("alice").public_key());
    assert!(console.state().is_settling() && !console.state().is_ready());
    reply.send(Ok(())).expect("the session waits for it");
    console.says(&["ready", "began 1"]).await;
    assert_eq!(console.state().authenticated(), Some(&key("alice")));
    console.circle.plays("1").await.answer(1).await;
    console.says(&["value 1", "done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn connection_that_ends_while_a_key_is_unlocked_is_made_again_for_it() {
    let mut console = Console::open(Setup { access: Access::Members, preferred: Some("alice"), ..Setup::default() });
    console.connect().await;
    console.says(&["connected first", "unlock alice"]).await;
    console.submit("1");
    // The circle waits for strangers as long as it likes, and no longer.
    console.circle.lose();
    console.is_quiet().await;
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
    console.unlock("alice");
    console.circle.accept().await;
    assert_eq!(console.circle.admit().await, keypair("alice").public_key());
    console.says(&["connected again", "ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.says(&["value 1", "done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn connection_that_ends_while_a_key_stays_locked_is_made_again_for_an_input() {
    let mut console = Console::open(Setup { access: Access::Members, preferred: Some("alice"), ..Setup::default() });
    console.connect().await;
    console.says(&["connected first", "unlock alice"]).await;
    console.circle.lose();
    settle().await;
    console.stays_locked("alice");
    settle().await;
    console.rest().await;
    console.submit("1");
    console.circle.accept().await;
    console.says(&["connected again", "unlock alice"]).await;
}

#[tokio::test(start_paused = true)]
async fn unlocked_key_authenticates_at_once() {
    let setup =
        Setup { access: Access::Authenticated, preferred: Some("alice"), unlocked: &["alice"], ..Setup::default() };
    let mut console = Console::open(setup);
    console.connect().await;
    assert_eq!(console.circle.admit().await, keypair("alice").public_key());
    console.says(&["connected first", "ready"]).await;
    assert_eq!(console.state().key, Some(key("alice")));
}

#[tokio::test(start_paused = true)]
async fn scratch_circle_admits_the_key_that_was_made_for_it() {
    let mut console = Console::open(Setup { access: Access::Members, is_scratch: true, ..Setup::default() });
    console.connect().await;
    assert_eq!(console.circle.admit().await, keypair("owner").public_key());
    console.says(&["connected first", "ready"]).await;
    assert_eq!(console.state().identity, CallerIdentity::Owner);
    assert_eq!(console.state().authenticated(), None);
}

#[tokio::test(start_paused = true)]
async fn missing_key_is_requested_and_inputs_wait_for_it() {
    let mut console = Console::open(Setup { access: Access::Authenticated, ..Setup::default() });
    console.connect().await;
    console.says(&["connected first", "no key for authenticated"]).await;
    console.submit("1");
    console.says(&["no key for authenticated"]).await;
    console.is_quiet().await;
    assert_eq!(console.state().waiting, 1);
    console.cancel();
    console.says(&[r#"given back ["1"]"#]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn broken_keystore_is_reported() {
    let mut console = Console::open(Setup { access: Access::Members, is_broken: true, ..Setup::default() });
    console.connect().await;
    console.says(&["connected first", "not admitted: cannot read the keystore: it is a file"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn named_key_authenticates_on_an_open_circle_before_anything_is_played() {
    let mut console = Console::open(Setup { key: Some("alice"), ..Setup::default() });
    console.submit("1");
    console.circle.accept().await;
    console.says(&["connected first", "unlock alice"]).await;
    console.is_quiet().await;
    console.unlock("alice");
    let (_, reply) = console.circle.key().await;
    console.is_quiet().await;
    reply.send(Ok(())).expect("the session waits for it");
    console.says(&["ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
}

#[tokio::test(start_paused = true)]
async fn key_that_stays_locked_lets_waiting_inputs_run_on_an_open_circle() {
    let mut console = Console::open(Setup { key: Some("alice"), ..Setup::default() });
    console.submit("1");
    console.circle.accept().await;
    console.says(&["connected first", "unlock alice"]).await;
    console.stays_locked("alice");
    console.says(&["ready", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.says(&["value 1", "done"]).await;
    assert_eq!(console.state().key, None, "the key is not tried again");
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_that_stays_locked_gives_back_what_waits_on_a_closed_circle() {
    let mut console = Console::open(Setup { access: Access::Members, preferred: Some("alice"), ..Setup::default() });
    console.submit("1");
    console.circle.accept().await;
    console.says(&["connected first", "unlock alice"]).await;
    console.stays_locked("alice");
    console.says(&[r#"given back ["1"]"#]).await;
    console.is_quiet().await;
    // The next input asks for the key again.
    console.submit("2");
    console.says(&["unlock alice"]).await;
    console.unlock("alice");
    console.circle.admit().await;
    console.says(&["ready", "began 2"]).await;
}

#[tokio::test(start_paused = true)]
async fn answer_about_another_key_than_the_requested_one_changes_nothing() {
    let mut console = Console::open(Setup { access: Access::Members, preferred: Some("alice"), ..Setup::default() });
    console.connect().await;
    console.says(&["connected first", "unlock alice"]).await;
    console.stays_locked("bob");
    console.unlock("bob");
    console.is_quiet().await;
    console.unlock("alice");
    assert_eq!(console.circle.admit().await, keypair("alice").public_key());
    console.says(&["ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn key_that_the_circle_does_not_admit_gives_back_what_waits() {
    let setup = Setup { access: Access::Members, preferred: Some("alice"), unlocked: &["alice"], ..Setup::default() };
    let mut console = Console::open(setup);
    console.submit("1");
    console.circle.accept().await;
    let reason = "not a member".to_owned();
    console.circle.turn_away(RpcError::Forbidden { reason }.into()).await;
    assert_eq!(console.said().await, "connected first");
    let said = console.said().await;
    assert!(said.starts_with("not admitted alice: ") && said.ends_with("not a member"), "{said}");
    console.says(&[r#"given back ["1"]"#]).await;
    console.is_quiet().await;
    let state = console.state();
    // The answer is the circle's: the connection stays.
    assert!(state.connection == ConnectionStatus::Connected && !state.is_ready() && state.key.is_none(), "{state:?}");
}

/// Authentications whose outcome nobody knows: the session may be that key's by now.
#[tokio::test(start_paused = true)]
async fn authentication_without_an_outcome_drops_the_connection() {
    let timed_out = || ClientError::TimedOut { after: Duration::from_secs(10) };
    for (error, word) in [(timed_out as fn() -> ClientError, "no answer"), (lost, "is lost")] {
        let mut console = Console::open(Setup { key: Some("alice"), unlocked: &["alice"], ..Setup::default() });
        console.connect().await;
        assert_eq!(console.said().await, "connected first");
        console.submit("1");
        console.circle.turn_away(error()).await;
        let said = console.said().await;
        assert!(said.starts_with("not admitted alice: ") && said.contains(word), "{said}");
        console.says(&[r#"given back ["1"]"#]).await;
        console.is_quiet().await;
        assert!(console.state().connection == ConnectionStatus::Disconnected && console.circle.disconnections() == 1);
        // The next connection is another session.
        console.circle.accept().await;
        console.says(&["connected again", AGAIN, "ready"]).await;
        console.is_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn reconnect_authenticates_with_the_same_key_and_says_so() {
    let mut console = Console::alice().await;
    console.plays("let x = 1").await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.accept().await;
    console.says(&["connected again"]).await;
    let (public, reply) = console.circle.key().await;
    assert_eq!(public, keypair("alice").public_key());
    // Whose the session is, is not known before.
    console.is_quiet().await;
    reply.send(Ok(())).expect("the session waits for it");
    let again = "note connected again to the circle at ws://team:9001 as alice, with a fresh session: \
                 what 1 input had made is gone (:save FILE writes it as a script)";
    console.says(&[again, "ready"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn reconnect_that_does_not_admit_the_key_any_more_says_both() {
    let mut console = Console::alice().await;
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.accept().await;
    console.circle.turn_away(RpcError::InvalidCredentials.into()).await;
    console.says(&["connected again", AGAIN]).await;
    let said = console.said().await;
    assert!(said.starts_with("not admitted alice: "), "{said}");
    console.is_quiet().await;
    assert_eq!(console.state().identity, CallerIdentity::Anonymous);
}

#[tokio::test(start_paused = true)]
async fn connection_lost_while_it_authenticates_is_said_once() {
    let mut console = Console::open(Setup { key: Some("alice"), unlocked: &["alice"], ..Setup::default() });
    console.connect().await;
    assert_eq!(console.said().await, "connected first");
    let (_, reply) = console.circle.key().await;
    console.circle.lose();
    // Both report the loss.
    drop(reply.send(Err(lost())));
    let said = console.said().await;
    assert!(said.starts_with("not admitted alice: the connection"), "{said}");
    console.is_quiet().await;
    console.circle.accept().await;
    console.says(&["connected again", AGAIN, "ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn authenticate_asks_for_the_default_key_on_an_open_circle() {
    let mut console = Console::open(Setup { preferred: Some("alice"), ..Setup::default() });
    // Without a connection it makes one.
    console.session.authenticate().expect("there is room");
    console.circle.accept().await;
    console.says(&["connected first", "ready"]).await;
    console.session.authenticate().expect("there is room");
    console.says(&["unlock alice"]).await;
    console.unlock("alice");
    console.circle.admit().await;
    console.says(&["ready"]).await;
    // Who is authenticated stays so.
    console.session.authenticate().expect("there is room");
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn key_that_another_session_unlocked_is_not_requested_any_more() {
    let mut console = Console::open(Setup { key: Some("alice"), ..Setup::default() });
    console.connect().await;
    console.says(&["connected first", "unlock alice"]).await;
    console.keys.ring.insert(key("alice"), keypair("alice").into());
    console.session.authenticate().expect("there is room");
    console.circle.admit().await;
    console.says(&["ready"]).await;
    console.submit("1");
    console.says(&["began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    settle().await;
}
