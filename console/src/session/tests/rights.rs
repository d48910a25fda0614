//! Callers who may call functions, but not play.

use client_ws::{FunctionsInfo, MissingRight, Rights, RpcError};
use protocol::methods::Access;

use super::{Console, ConsoleSetup, settle};
use crate::{
    completion::{CompletionSource, completion_source},
    functions::tests::shop,
};

const CALLS_ONLY: &str =
    "note you may call functions here, but not play scripts: :functions lists them, :call NAME calls one";

/// Opens a console on a circle with roles, where the caller may not play.
fn open(setup: ConsoleSetup, init: Option<std::path::PathBuf>) -> Console {
    let mut console = Console::with_init(ConsoleSetup { access: Access::Members, ..setup }, init);
    console.circle.functions = Some(FunctionsInfo { version: "1".into(), count: 3 });
    console.circle.may = Some(Rights { play: false, r#use: Vec::new() });
    console.circle.role = Some("visitor".into());
    console
}

/// Returns a console of an anonymous caller who may only call.
async fn visitor() -> Console {
    let mut console = open(ConsoleSetup::default(), None);
    console.connect().await;
    console.expect_events(&["connected first", "ready", CALLS_ONLY]).await;
    console.circle.list(shop()).await;
    settle().await;
    console
}

#[tokio::test(start_paused = true)]
async fn anonymous_caller_without_the_right_to_play_calls_functions() {
    let mut console = visitor().await;
    assert!(console.state().is_ready() && !console.state().may_play());
    console.submit(":call price item=tea");
    console.circle.called().await.1.answer(3).await;
    console.expect_events(&["began :call price item=tea", "value 3", "done"]).await;
    let play = console.begin("1 + 1").await;
    play.fail(RpcError::Unauthenticated).await;
    let error = "error error: the circle does not let you play scripts: you are an anonymous caller, with the role visitor\n  \
                 list what you may call instead: :functions; call one: :call NAME; or authenticate with a key: :key NAME";
    let shown = console.event_text().await;
    assert_eq!(shown.split_whitespace().collect::<Vec<_>>(), error.split_whitespace().collect::<Vec<_>>());
    console.expect_events(&["done"]).await;
    // Without an environment there are no variables of these names.
    console.submit("help");
    console.expect_events(&["began help", "request Help(\"\")", "done"]).await;
    console.submit(":functions order.list");
    assert_eq!(console.event_text().await, "began :functions order.list");
    assert!(console.event_text().await.starts_with("listing order.list() -> any\n"));
    console.expect_events(&["done"]).await;
}

#[tokio::test(start_paused = true)]
async fn key_is_used_before_the_rights_of_an_anonymous_caller() {
    let mut console =
        open(ConsoleSetup { preferred: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() }, None);
    console.connect().await;
    console.circle.may = Some(Rights { play: true, r#use: Vec::new() });
    console.circle.publish();
    console.circle.admit().await;
    console.circle.list(shop()).await;
    console.expect_events(&["connected first", "ready"]).await;
    assert!(console.state().may_play());
}

#[tokio::test(start_paused = true)]
async fn caller_who_keeps_the_key_locked_calls_functions() {
    let mut console = open(ConsoleSetup { preferred: Some("alice"), ..ConsoleSetup::default() }, None);
    console.connect().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.submit(":call price item=tea");
    console.stays_locked("alice");
    console.expect_events(&["ready", CALLS_ONLY, "began :call price item=tea"]).await;
}

#[tokio::test(start_paused = true)]
async fn caller_without_the_right_to_play_sends_neither_the_init_script_nor_questions() {
    let init = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(init.path(), "fn f() { 1 }").expect("written");
    let setup = ConsoleSetup { key: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() };
    let mut console = open(setup, Some(init.path().to_owned()));
    console.connect().await;
    console.circle.admit().await;
    console.expect_events(&["connected first", "ready", CALLS_ONLY]).await;
    console.circle.list(shop()).await;
    let CompletionSource::Circle(request) = completion_source("pri", 3, |_, _| Vec::new()) else { panic!("a script") };
    assert_eq!(console.session.complete(("pri".into(), 3), request).await, None);
    assert_eq!(console.session.document("print".into()).await, None);
    assert_eq!(console.circle.questions().1, 0);
    console.expect_no_event().await;
    // With another role, the environment begins with the init script.
    console.circle.may = Some(Rights { play: true, r#use: Vec::new() });
    console.circle.role = Some("clerk".into());
    console.circle.publish();
    console.session.refresh_functions();
    console.circle.list(shop()).await;
    console.expect_events(&["note you may play scripts here now"]).await;
    console.circle.plays("fn f() { 1 }").await.unit().await;
}

#[tokio::test(start_paused = true)]
async fn refused_play_tells_what_to_do_and_asks_for_the_rights_again() {
    let setup = ConsoleSetup { key: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() };
    let mut console = open(setup, None);
    console.circle.may = Some(Rights { play: true, r#use: Vec::new() });
    console.connect().await;
    console.circle.admit().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.circle.list(shop()).await;
    settle().await;
    // The operator takes the right away.
    console.circle.may = Some(Rights { play: false, r#use: Vec::new() });
    console.circle.publish();
    let play = console.begin("1").await;
    let reason = "your role visitor may not play".to_owned();
    play.fail(RpcError::Forbidden { reason, missing: Some(MissingRight::Play) }).await;
    let shown = console.event_text().await;
    let error = "error error: the circle does not let you play scripts: your role visitor may not play list what you may \
                 call instead: :functions; call one: :call NAME";
    assert!(shown.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(error), "{shown}");
    console.expect_events(&["done", CALLS_ONLY]).await;
    assert!(!console.state().may_play());
}

#[tokio::test(start_paused = true)]
async fn caller_with_neither_right_needs_a_key() {
    let mut console = open(ConsoleSetup::default(), None);
    console.circle.functions = Some(FunctionsInfo { version: "1".into(), count: 0 });
    console.connect().await;
    console.expect_events(&["connected first", "no key for members"]).await;
    assert!(!console.state().is_ready());
}
