//! Tests of inputs that other REPLs understand.

use client_ws::RpcError;

use super::{
    Console, ConsoleSetup,
    fake::{self, not_found},
};

#[tokio::test(start_paused = true)]
async fn word_is_a_command_unless_a_variable_has_its_name() {
    let mut console = Console::ready().await;
    console.play_to_end("let x = 1").await;
    console.submit("quit");
    console.submit("next");
    console.circle.plays("quit").await.fail(not_found("quit")).await;
    console.expect_events(&["began quit", "request Quit", "done", "began next"]).await;
    console.circle.plays("next").await.unit().await;
    console.expect_events(&["value ", "done"]).await;
    // The failed play is not part of the notebook.
    console.submit(":last");
    let last = "listing the last play printed nothing, and its value was ()";
    console.expect_events(&["began :last", last, "done"]).await;
    console.begin(" help ").await.fail(not_found("help")).await;
    console.expect_events(&["request Help(\"\")", "done"]).await;
    console.begin("exit").await.answer(42).await;
    console.expect_events(&["value 42", "done"]).await;
    // The circle counts these plays, so the numbers of values do, too.
    console.submit(":out");
    console.expect_events(&["began :out", "listing     5  42 ", "done"]).await;
    // Another error is an error.
    console.begin("exit").await.fail(RpcError::Internal).await;
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["done"]).await;
}

#[tokio::test(start_paused = true)]
async fn question_about_a_function_is_a_command() {
    let mut console = Console::ready().await;
    console.play_to_end("fn area(r) { r * r }").await;
    console.submit("area??");
    console.expect_events(&["began :source area", "listing fn area(r) { r * r }", "done"]).await;
    console.submit(":source other");
    assert_eq!(console.event_text().await, "began :source other");
    assert!(console.event_text().await.starts_with("listing no input of this session defines other"));
    console.expect_events(&["done"]).await;
    console.submit("?");
    console.expect_events(&["began :help", "request Help(\"\")", "done"]).await;
    console.submit("?area");
    console.expect_events(&["began :doc area"]).await;
    let fake::RemoteCall::Query(command, _reply) = console.circle.call().await else { panic!() };
    assert_eq!(command, crate::commands::ReplCommand::Doc("area".into()));
}

#[tokio::test(start_paused = true)]
async fn word_needs_no_connection() {
    let mut console = Console::open(ConsoleSetup::default());
    console.submit("help");
    console.expect_events(&["began help", "request Help(\"\")", "done"]).await;
    console.expect_no_event().await;
}
