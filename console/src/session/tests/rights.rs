//! Callers who may call functions, but not play.

use client_ws::{FunctionsInfo, MissingRight, Rights, RpcError};
use protocol::methods::Access;

use super::{Console, ConsoleSetup, fake::RemoteCall, settle};
use crate::{
    completion::{CompletionSource, completion_source},
    functions::tests::shop,
    session::{CallerRights, FanOut, FanOutEvent, FanOutOutcome, FanOutTarget, Script},
};

const CALLS_ONLY: &str =
    "note you may call functions here, but not play scripts: :functions lists them, :call NAME calls one";

const NO_RIGHTS: &str = "note you may neither play scripts nor call functions here: :who shows your role";

/// Opens a console on a circle with roles, where the caller may not play.
fn open(setup: ConsoleSetup, init: Option<std::path::PathBuf>) -> Console {
    let mut console = Console::with_init(ConsoleSetup { access: Access::Members, ..setup }, init);
    console.circle.functions = Some(FunctionsInfo { version: "1".into(), count: 3 });
    console.circle.may = Some(Rights { play: false, r#use: Vec::new(), subscribe: Vec::new() });
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
    console.circle.may = Some(Rights { play: true, r#use: Vec::new(), subscribe: Vec::new() });
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
    // Once in the background, and once for the call.
    console.circle.list(shop()).await;
    console.circle.list(shop()).await;
    let (call, running) = console.circle.called().await;
    assert_eq!(call.name, "price");
    running.answer(3).await;
    console.expect_events(&["value 3", "done"]).await;
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
    console.circle.may = Some(Rights { play: true, r#use: Vec::new(), subscribe: Vec::new() });
    console.circle.role = Some("clerk".into());
    console.circle.publish();
    console.submit("f()");
    console.circle.list(shop()).await;
    console.expect_events(&["began f()", "note you may play scripts here now"]).await;
    assert!(console.state().may_play());
    console.circle.plays("fn f() { 1 }").await.unit().await;
    console.circle.plays("f()").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    // Tab asks the circle now.
    let CompletionSource::Circle(request) = completion_source("pri", 3, |_, _| Vec::new()) else { panic!("a script") };
    assert_eq!(console.session.complete(("pri".into(), 3), request).await, None);
    assert_eq!(console.circle.questions().1, 1);
}

#[tokio::test(start_paused = true)]
async fn tab_finds_the_right_to_play() {
    let console = visitor().await;
    console.circle.publish();
    let before = console.circle.questions().0;
    let CompletionSource::Circle(request) = completion_source("pri", 3, |_, _| Vec::new()) else { panic!("a script") };
    assert_eq!(console.session.complete(("pri".into(), 3), request).await, None);
    settle().await;
    assert_eq!(console.circle.questions(), (before + 1, 0));
}

#[tokio::test(start_paused = true)]
async fn input_that_waits_for_the_right_to_play_can_be_cancelled() {
    let mut console = visitor().await;
    console.circle.functions = Some(FunctionsInfo { version: "2".into(), count: 3 });
    console.circle.publish();
    console.submit("1");
    console.submit("2");
    let RemoteCall::Functions(_unanswered) = console.circle.call().await else { panic!("a question") };
    console.cancel();
    let given_up = "remark gave up waiting; nothing was played";
    console.expect_events(&["began 1", given_up, "done", "given back [\"2\"]"]).await;
    console.expect_no_event().await;
}

/// Takes the functions of the role away, or gives them back.
fn change_functions(console: &mut Console, version: &str, count: u64) {
    console.circle.functions = Some(FunctionsInfo { version: version.into(), count });
    console.circle.publish();
}

#[tokio::test(start_paused = true)]
async fn anonymous_caller_without_rights_for_a_moment_recovers() {
    let mut console = visitor().await;
    change_functions(&mut console, "2", 0);
    console.session.refresh_functions();
    console.circle.list(Vec::new()).await;
    console.expect_events(&[NO_RIGHTS]).await;
    assert!(!console.state().is_ready());
    // Commands about the rights need none.
    console.submit(":who");
    drop(console.circle.query().await.1.send(Ok(Vec::new())));
    console.expect_events(&["began :who", "listing ", "done"]).await;
    console.submit(":functions");
    let none = "listing the circle has no function for you; :who shows your role";
    console.expect_events(&["began :functions", none, "done"]).await;
    // An input asks for the rights, and then for a key.
    console.submit(":call price item=tea");
    console.expect_events(&["no key for members"]).await;
    console.cancel();
    console.expect_events(&["given back [\":call price item=tea\"]"]).await;
    change_functions(&mut console, "3", 3);
    console.submit(":call price item=tea");
    console.circle.list(shop()).await;
    console.expect_events(&[CALLS_ONLY, "ready", "began :call price item=tea"]).await;
    console.circle.called().await.1.answer(3).await;
    console.expect_events(&["value 3", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn list_of_functions_makes_a_caller_ready_again() {
    let mut console = visitor().await;
    change_functions(&mut console, "2", 0);
    console.session.refresh_functions();
    console.circle.list(Vec::new()).await;
    console.expect_events(&[NO_RIGHTS]).await;
    console.submit("1");
    console.expect_events(&["no key for members"]).await;
    change_functions(&mut console, "3", 3);
    console.submit(":functions order.list");
    console.circle.list(shop()).await;
    console.expect_events(&["began :functions order.list", CALLS_ONLY]).await;
    assert!(console.event_text().await.starts_with("listing order.list() -> any"));
    console.expect_events(&["done", "began 1"]).await;
}

#[tokio::test(start_paused = true)]
async fn connect_finds_the_rights_again() {
    let mut console = visitor().await;
    change_functions(&mut console, "2", 0);
    console.session.refresh_functions();
    console.circle.list(Vec::new()).await;
    console.expect_events(&[NO_RIGHTS]).await;
    change_functions(&mut console, "3", 3);
    console.session.connect(true).expect("there is room");
    console.circle.list(shop()).await;
    console.expect_events(&[CALLS_ONLY, "ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn note_explains_a_key_without_rights() {
    let setup = ConsoleSetup { key: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() };
    let mut console = open(setup, None);
    console.circle.functions = Some(FunctionsInfo { version: "1".into(), count: 0 });
    console.connect().await;
    console.circle.admit().await;
    console.expect_events(&["connected first", "ready", NO_RIGHTS]).await;
    assert_eq!(console.state().rights(), CallerRights::None);
}

#[tokio::test(start_paused = true)]
async fn rights_are_reported_once() {
    let mut console = visitor().await;
    console.submit(":key bob");
    console.expect_events(&["began :key bob", "unlock bob"]).await;
    console.stays_locked("bob");
    console.expect_events(&["done", "ready"]).await;
    console.circle.list(shop()).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn caller_without_the_right_to_play_reads_about_functions_of_the_circle() {
    let mut console = visitor().await;
    console.submit(":doc price");
    assert_eq!(console.event_text().await, "began :doc price");
    assert!(console.event_text().await.starts_with("listing price(item: string) -> float\n"));
    console.expect_events(&["done"]).await;
    console.submit("push?");
    let none = "listing no function matches push; :functions lists all";
    console.expect_events(&["began :doc push", none, "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn part_of_a_fan_out_explains_the_missing_right() {
    let mut console = visitor().await;
    let target = FanOutTarget { label: "shop".into(), session: console.session.clone() };
    let mut plays = FanOut::start_for_console(&[target], &Script { text: "1".into(), ..Script::default() });
    console.circle.plays("1").await.fail(RpcError::Unauthenticated).await;
    let Some((_, FanOutEvent::Ended(FanOutOutcome::Failed(error)))) = plays.next().await else { panic!("an error") };
    assert_eq!(
        error.message(),
        "the circle does not let you play scripts: you are an anonymous caller, with the role visitor"
    );
}

#[tokio::test(start_paused = true)]
async fn error_of_a_refused_play_has_the_role_that_the_caller_has_now() {
    let setup = ConsoleSetup { key: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() };
    let mut console = open(setup, None);
    console.circle.may = Some(Rights { play: true, r#use: Vec::new(), subscribe: Vec::new() });
    console.connect().await;
    console.circle.admit().await;
    console.expect_events(&["connected first", "ready"]).await;
    console.circle.list(shop()).await;
    settle().await;
    // The operator takes the right away.
    console.circle.may = Some(Rights { play: false, r#use: Vec::new(), subscribe: Vec::new() });
    console.circle.role = Some("guest".into());
    console.circle.publish();
    let play = console.begin("1").await;
    let reason = "the role 'guest' may not play scripts, only call functions (fn.NAME)".to_owned();
    play.fail(RpcError::Forbidden { reason, missing: Some(MissingRight::Play) }).await;
    console.circle.list(shop()).await;
    let shown = console.event_text().await;
    let error = "error error: the circle does not let you play scripts: you are an anonymous caller, with the role guest \
                 list what you may call instead: :functions; call one: :call NAME";
    assert!(shown.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(error), "{shown}");
    // The next prompt shows the rights.
    console.expect_events(&[CALLS_ONLY]).await;
    assert!(!console.state().may_play());
    console.expect_events(&["done"]).await;
    // The play did not start, so no input counts.
    assert_eq!(console.state().inputs, 0);
}

#[tokio::test(start_paused = true)]
async fn caller_with_neither_right_needs_a_key() {
    let mut console = open(ConsoleSetup::default(), None);
    console.circle.functions = Some(FunctionsInfo { version: "1".into(), count: 0 });
    console.connect().await;
    console.expect_events(&["connected first", "no key for members"]).await;
    assert!(!console.state().is_ready());
}
