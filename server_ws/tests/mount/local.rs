//! Sessions within the program.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use server_ws::{Access, KeyPair, Limits, LocalSessionError, PlayCaller, PublicKey, RpcError, host};

use super::*;

const ANYONE: PlayCaller = PlayCaller::Anonymous(IpAddr::V4(Ipv4Addr::LOCALHOST));

#[tokio::test]
async fn session_plays_with_variables_and_prints() {
    let circle = start(builder("team")).await;
    let session = circle.session(ANYONE).expect("a session");
    session.play("let total = 40; fn twice(n) { 2 * n }").await.expect("played");
    let played = session.play("print(\"a\"); print(\"b\"); total + twice(1)").await.expect("played");
    assert_eq!((played.get::<i64>().expect("a number"), played.prints), (42, vec!["a".to_owned(), "b".to_owned()]));
    let names: Vec<_> = session.scope().await.expect("a scope").variables.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["total"]);
    assert!(!session.lookup("print").await.expect("documentation").is_empty());
    session.reset().await.expect("reset");
    let Err(LocalSessionError::Rpc(RpcError::Script(error))) = session.play("total").await else { panic!("reset") };
    assert!(error.message.contains("Variable not found: total"), "{error:?}");
    // Another session has variables of its own.
    let (one, other) = (circle.session(ANYONE).expect("a session"), circle.session(ANYONE).expect("a session"));
    let (one, other) = tokio::join!(one.play("let a = 1; a"), other.play("let a = 2; a"));
    let value = |played: Result<server_ws::LocalPlayResult, _>| played.expect("played").get::<i64>().expect("a number");
    assert_eq!((value(one), value(other)), (1, 2));
}

#[tokio::test]
async fn host_function_is_tested_without_a_connection() {
    let key = KeyPair::generate().expect("a key").public_key();
    let module = host::Module::new("shop").function(
        "whoami",
        [],
        "Returns the key of the caller.",
        |call: host::Call, (): ()| async move { Ok(call.caller().map(PublicKey::to_hex)) },
    );
    let circle = start(builder("team").access(Access::Authenticated).host_module(module)).await;
    let session = circle.session(PlayCaller::Key(key)).expect("a session");
    let played = session.play("shop::whoami()").await.expect("played");
    assert_eq!(played.get::<String>().expect("a text"), key.to_hex());
}

#[tokio::test]
async fn session_obeys_access_and_limits() {
    let (alice, bob) =
        (KeyPair::generate().expect("a key").public_key(), KeyPair::generate().expect("a key").public_key());
    let limits = Limits { message_kib: 4, operations: Some(1000), ..Limits::default() };
    let circle = start(builder("team").members([alice]).limits(limits)).await;
    for caller in [ANYONE, PlayCaller::Key(bob)] {
        let error = circle.session(caller).expect_err("no member").to_string();
        assert!(error.contains("its access is members"), "{error}");
    }
    let session = circle.session(PlayCaller::Key(alice)).expect("a member");
    let large = session.play("x".repeat(5000)).await.expect_err("too large").to_string();
    assert!(large.contains("limits.message_kib"), "{large}");
    let Err(LocalSessionError::Rpc(error)) = session.play("loop {}").await else { panic!("limited") };
    assert_eq!(error.code(), -32004);
    let stopped = session.play("loop {}").timeout(Duration::from_millis(1)).await.expect_err("limited");
    assert!(matches!(&stopped, LocalSessionError::Rpc(error) if error.code() == -32004), "{stopped}");
}

#[tokio::test]
async fn dropped_play_is_cancelled() {
    let circle = start(builder("team")).await;
    let session = circle.session(ANYONE).expect("a session");
    {
        let play = IntoFuture::into_future(session.play("loop {}"));
        tokio::pin!(play);
        // The next call reaches the session after the play.
        tokio::select! {
            biased;
            played = &mut play => panic!("{played:?}"),
            scope = session.scope() => drop(scope.expect("a scope")),
        }
    }
    let played = session.play("6 * 7").await.expect("the first play was cancelled");
    assert_eq!(played.get::<i64>().expect("a number"), 42);
}

#[tokio::test]
async fn session_ends_with_its_circle() {
    let circle = start(builder("team")).await;
    let session = circle.session(ANYONE).expect("a session");
    session.play("1").await.expect("played");
    circle.drain().await;
    assert!(matches!(circle.session(ANYONE), Err(LocalSessionError::ShuttingDown)));
    let error = session.play("1").await.expect_err("it has ended");
    assert!(matches!(&error, LocalSessionError::Ended { reason } if reason.contains("shutting down")), "{error}");
}
