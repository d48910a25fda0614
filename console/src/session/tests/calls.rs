//! Calls of functions, and the list of functions.

use std::time::Duration;

use client_ws::{FunctionInfo, FunctionsInfo, PlayResult, RpcError};
use serde_json::json;

use super::{
    Console, ConsoleSetup, LOST, RECONNECTED,
    fake::{self, lost},
    settle,
};
use crate::{
    commands::ReplCommand,
    completion::{CompletionSource, completion_source},
    functions::tests::shop,
    session::{ConnectionStatus, GIVE_UP_WINDOW},
};

/// Returns a console that is ready on an open circle with the functions of a shop, which it knows.
pub(super) async fn shop_console() -> Console {
    let mut console = Console::open(ConsoleSetup::default());
    console.circle.functions = Some(FunctionsInfo { version: "1".into(), count: 3 });
    console.connect().await;
    console.circle.list(shop()).await;
    console.expect_events(&["connected first", "ready"]).await;
    settle().await;
    console
}

/// Returns the candidates that Tab offers at the end of an input.
async fn candidates(console: &Console, input: &str) -> Vec<String> {
    let cursor = input.chars().count();
    let CompletionSource::Circle(request) = completion_source(input, cursor, |_, _| Vec::new()) else {
        panic!("the session completes it: {input}")
    };
    let list = console.session.complete((input.to_owned(), cursor), request).await;
    list.map_or(Vec::new(), |list| list.candidates.into_iter().map(|candidate| candidate.text).collect())
}

#[tokio::test(start_paused = true)]
async fn call_reads_its_arguments_and_shows_the_value() {
    let mut console = shop_console().await;
    let input = r#":call order.place item="green tea" count=2 size=small"#;
    console.submit(input);
    let (call, running) = console.circle.called().await;
    assert_eq!(call.name, "order.place");
    assert_eq!(serde_json::Value::from(call.params), json!({ "item": "green tea", "count": 2, "size": "small" }));
    running.print("packed").await;
    running.progress(3).await;
    settle().await;
    assert!(console.state().running.is_some_and(|running| running.progress.is_some()));
    running.answer(42).await;
    console.expect_events(&[&format!("began {input}"), "output packed", "value 42", "done"]).await;
    // The value is of no input: neither ans nor the notebook has it, but the session can show it.
    assert_eq!(console.state().inputs, 0);
    console.submit(":last");
    console.expect_events(&["began :last", "listing packed\n42", "done"]).await;
    console.submit(":save /nonexistent/x");
    console.expect_events(&["began :save /nonexistent/x", "remark nothing to save yet", "done"]).await;
    console.submit(":out");
    console.expect_events(&["began :out", "remark no value yet", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn call_does_not_count_as_an_input() {
    let mut console = shop_console().await;
    console.play_to_end("let a = 1").await;
    console.submit(":call order.list");
    console.circle.called().await.1.answer(1).await;
    console.expect_events(&["began :call order.list", "value 1", "done"]).await;
    let play = console.begin("2").await;
    play.answer(2).await;
    console.expect_events(&["value 2", "done"]).await;
    console.submit(":out 2");
    console.expect_events(&["began :out 2", "listing 2", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn call_waits_its_turn_and_is_cancelled_like_a_play() {
    let mut console = shop_console().await;
    let play = console.begin("1").await;
    console.submit(":call order.list");
    console.submit("2");
    console.expect_no_event().await;
    play.unit().await;
    let (_, running) = console.circle.called().await;
    console.expect_events(&["value ", "done", "began :call order.list"]).await;
    console.expect_no_event().await;
    console.cancel();
    running.cancel().await;
    console.expect_events(&["given back [\"2\"]", "remark cancelled the call", "done"]).await;
    // A second Ctrl-C gives up waiting.
    console.submit(":call order.list");
    let (_, running) = console.circle.called().await;
    console.cancel();
    tokio::time::sleep(GIVE_UP_WINDOW / 2).await;
    console.cancel();
    let given_up = "remark gave up waiting; the function may still be running";
    console.expect_events(&["began :call order.list", given_up, "done"]).await;
    running.abandoned().await;
}

#[tokio::test(start_paused = true)]
async fn arguments_that_do_not_fit_are_not_sent() {
    let mut console = shop_console().await;
    let cases = [
        (
            ":call order.place count=many",
            "error error: cannot call order.place: count: expected int 1..100, not \"many\"\n  \
             describe its parameters: :functions order.place",
        ),
        (
            ":call order.place item=tea",
            "error error: cannot call order.place: size is missing: it is \"small\" | \"very large\"\n  \
             describe its parameters: :functions order.place",
        ),
        (
            ":call price prise=1",
            "error error: cannot call price: price has no parameter \"prise\"; its parameters: item\n  \
             describe its parameters: :functions price",
        ),
        (
            ":call price item=@/nonexistent/tea",
            "error error: cannot read the value of item from /nonexistent/tea: no such file or directory\n  \
             check its name; for a text that begins with @, write a JSON string: PARAM=\"@text\"",
        ),
        (
            ":call order.place item=tea size=small gift=1",
            "error error: cannot call order.place: gift: expected bool, not 1\n  \
             describe its parameters: :functions order.place",
        ),
    ];
    for (input, error) in cases {
        console.submit(input);
        // Reading a file takes another thread.
        assert_eq!(console.event_text().await, format!("began {input}"));
        assert_eq!(console.event_text().await, error);
        console.expect_events(&["done"]).await;
    }
    console.expect_no_event().await;
    assert_eq!(console.refused_calls.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn value_is_read_from_a_file_in_the_directory_of_the_console() {
    let mut console = shop_console().await;
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("tea.txt"), "green\ntea").expect("written");
    console.submit(&format!(":cd {}", directory.path().display()));
    console.submit(":call price item=@tea.txt");
    let (call, running) = console.circle.called().await;
    assert_eq!(serde_json::Value::from(call.params), json!({ "item": "green\ntea" }));
    running.unit().await;
}

#[tokio::test(start_paused = true)]
async fn argument_above_the_message_limit_is_not_sent() {
    let mut console = Console::open(ConsoleSetup::default());
    console.circle.functions = Some(FunctionsInfo { version: "1".into(), count: 3 });
    console.circle.limits.message_kib = 1;
    console.connect().await;
    console.circle.list(shop()).await;
    settle().await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "x".repeat(5000)).expect("written");
    console.submit(&format!(":call price item=@{}", file.path().display()));
    console.expect_events(&["connected first", "ready"]).await;
    assert!(console.event_text().await.starts_with("began"));
    let error = console.event_text().await;
    assert!(error.contains("the circle accepts messages up to 1 KiB"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn unknown_function_is_looked_up_again() {
    let mut console = shop_console().await;
    console.submit(":call tax");
    console.circle.list(with_tax()).await;
    let (call, running) = console.circle.called().await;
    assert_eq!(call.name, "tax");
    running.answer(7).await;
    console.expect_events(&["began :call tax", "value 7", "done"]).await;
    console.submit(":call tux");
    console.circle.list(shop()).await;
    assert_eq!(console.event_text().await, "began :call tux");
    let shown = console.event_text().await;
    let error = "error error: you cannot call 'tux' on the circle at ws://team:9001: the circle has no such function, or your \
                 role may not call it; you are an anonymous caller, without a role list what you may call: :functions; or \
                 authenticate with a key: :key NAME";
    assert_eq!(shown.split_whitespace().collect::<Vec<_>>().join(" "), error);
}

#[tokio::test(start_paused = true)]
async fn error_of_a_call_names_commands_of_the_console() {
    let mut console = shop_console().await;
    console.submit(":call price item=tea");
    let error = RpcError::InvalidParams { param: "item".into(), reason: "expected string 1..2".into() };
    console.circle.called().await.1.fail(error).await;
    let shown =
        "error error: cannot call price: item: expected string 1..2\n  describe its parameters: :functions price";
    console.expect_events(&["began :call price item=tea", shown, "done"]).await;
    // The types may have changed: one question after the connection, and one now.
    settle().await;
    assert_eq!(console.circle.questions().0, 2);
    // The worker of the function is lost, not the environment of the session.
    console.play_to_end("let a = 1").await;
    console.submit(":call price item=tea");
    let error = RpcError::EnvironmentLost { reason: protocol::error::LossReason::Memory };
    console.circle.called().await.1.fail(error).await;
    assert_eq!(console.event_text().await, "began :call price item=tea");
    assert!(console.event_text().await.starts_with("error error: stopped price: its worker ran out of memory"));
    console.expect_events(&["done"]).await;
    assert_eq!(console.state().inputs, 1);
}

#[tokio::test(start_paused = true)]
async fn connection_lost_during_a_call_is_reported_once() {
    let mut console = shop_console().await;
    console.submit(":call order.list");
    let (_, running) = console.circle.called().await;
    console.circle.lose();
    running.fail(lost()).await;
    assert_eq!(console.event_text().await, "began :call order.list");
    assert!(console.event_text().await.starts_with("error error: lost the connection"));
    console.expect_events(&["lost", "done"]).await;
    assert_eq!(console.state().circle_functions, None);
    console.circle.accept().await;
    console.circle.list(shop()).await;
    console.expect_events(&["connected again", RECONNECTED, "ready"]).await;
    // While the functions are fetched, nothing waits for them.
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    assert_eq!(console.state().connection, ConnectionStatus::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn functions_of_the_circle_come_before_those_of_the_session() {
    let mut console = shop_console().await;
    console.submit(":functions pri");
    let (command, reply) = console.circle.query().await;
    assert_eq!(command, ReplCommand::Functions("pri".into()));
    reply.send(Ok(vec![frontend::text::StyledLine::of(frontend::text::Style::Plain, "print(x)")])).expect("awaited");
    let listing = "listing Functions of the circle, to :call\nprice(item: string) -> float\n    The price of an item.\n\
                   Functions of scripts\nprint(x)";
    console.expect_events(&["began :functions pri", listing, "done"]).await;
    console.submit(":functions price");
    drop(console.circle.query().await.1.send(Ok(Vec::new())));
    assert_eq!(console.event_text().await, "began :functions price");
    assert!(console.event_text().await.starts_with("listing price(item: string) -> float\n\nThe price of an item.\n"));
    console.expect_events(&["done"]).await;
    // The version is the same, so the list was fetched once.
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn tab_completes_what_is_known_and_refreshes_it() {
    let mut console = shop_console().await;
    assert_eq!(candidates(&console, ":call order.").await, ["order.place ", "order.list"]);
    assert_eq!(candidates(&console, ":call price ").await, ["item="]);
    assert_eq!(candidates(&console, ":functions pr").await, ["price"]);
    // Only the last one is a question about the environment.
    assert_eq!(console.circle.questions().1, 1);
    settle().await;
    console.expect_no_event().await;
    // A reload gives the functions another version.
    console.circle.functions = Some(FunctionsInfo { version: "2".into(), count: 1 });
    console.circle.publish();
    assert_eq!(candidates(&console, ":call ").await.len(), 3);
    console.circle.list(shop().split_off(2)).await;
    settle().await;
    assert_eq!(candidates(&console, ":call ").await, ["price "]);
}

#[tokio::test(start_paused = true)]
async fn circle_without_functions_is_asked_for_none() {
    let mut console = Console::ready().await;
    settle().await;
    assert_eq!(
        (console.circle.questions(), console.state().circle_functions.map(|known| known.len())),
        ((0, 0), Some(0))
    );
    console.submit(":call price");
    let error = "error error: you cannot call 'price' on the circle at ws://team:9001: the circle has no functions";
    console.expect_events(&["began :call price", error, "done"]).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn cancelled_lookup_calls_nothing() {
    let mut console = shop_console().await;
    console.submit(":call tax");
    console.expect_events(&["began :call tax"]).await;
    let fake::RemoteCall::Functions(reply) = console.circle.call().await else { panic!("a question") };
    console.cancel();
    console.expect_events(&["remark gave up waiting; nothing was called", "done"]).await;
    // The answer comes too late, though it has the function.
    drop(reply.send(Ok(with_tax())));
    console.expect_no_event().await;
}

/// The functions of the shop, with `tax`, which takes no parameters, instead of `price`.
fn with_tax() -> Vec<FunctionInfo> {
    let mut functions = shop();
    functions[2].name = "tax".into();
    functions[2].params.clear();
    functions
}

#[tokio::test(start_paused = true)]
async fn bytes_of_a_file_are_a_blob() {
    let mut console = shop_console().await;
    let mut functions = with_tax();
    functions[2].params = shop().remove(2).params;
    functions[2].params[0].schema = json!({ "type": "string", "contentEncoding": "base64" });
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), [0xff, 0, 1]).expect("written");
    console.submit(&format!(":call tax item=@{}", file.path().display()));
    console.circle.list(functions).await;
    let (call, running) = console.circle.called().await;
    assert_eq!(serde_json::Value::from(call.params), json!({ "item": "/wAB" }));
    running.unit().await;
}

#[tokio::test(start_paused = true)]
async fn call_of_a_deprecated_function_says_what_to_use() {
    let mut console = shop_console().await;
    let mut functions = with_tax();
    (functions[2].is_deprecated, functions[2].deprecation) = (true, "use price\u{7}".into());
    console.submit(":call tax");
    console.circle.list(functions).await;
    console.circle.called().await.1.unit().await;
    let note = "remark tax is deprecated: use price␇";
    console.expect_events(&["began :call tax", note, "value ", "done"]).await;
    console.submit(":last");
    let nothing = "listing the last call printed nothing, and its value was ()";
    console.expect_events(&["began :last", nothing, "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn large_value_of_a_call_names_no_variable() {
    let mut console = shop_console().await;
    console.submit(":call order.list");
    let rows = |row: fn(u32) -> String| (0..1500).map(row).collect::<Vec<_>>().join(", ");
    let output = format!("[{}]", rows(|row| format!("#{{\"n\": {row}}}")));
    let json = format!("[{}]", rows(|row| format!("{{\"n\": {row}}}")));
    let value = PlayResult { output, ..fake::result("array", &json) };
    console.circle.called().await.1.end(Ok(value)).await;
    assert_eq!(console.event_text().await, "began :call order.list");
    let shown = console.event_text().await;
    assert!(shown.ends_with("… 500 more rows: :json FILE writes all of them"), "{shown}");
    console.expect_events(&["done"]).await;
    console.submit(":last");
    console.expect_events(&["began :last"]).await;
    let shown = console.event_text().await;
    assert!(shown.ends_with("… 500 more rows: :json FILE writes all of them"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn doc_describes_functions_of_the_circle() {
    let mut console = shop_console().await;
    console.submit("order.list?");
    drop(console.circle.query().await.1.send(Ok(Vec::new())));
    assert_eq!(console.event_text().await, "began :doc order.list");
    assert!(console.event_text().await.starts_with("listing order.list() -> any\n"));
    console.expect_events(&["done"]).await;
    console.submit(":doc price");
    let (command, reply) = console.circle.query().await;
    assert_eq!(command, ReplCommand::Doc("price".into()));
    drop(reply.send(Ok(Vec::new())));
    let note = "listing price is a function of the circle as well: :functions price describes it";
    console.expect_events(&["began :doc price", note, "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn text_that_matches_nothing_says_so() {
    let mut console = shop_console().await;
    console.submit(":functions nothing");
    drop(console.circle.query().await.1.send(Ok(Vec::new())));
    let none = "listing no function matches nothing; :functions lists all";
    console.expect_events(&["began :functions nothing", none, "done"]).await;
    console.submit(":functions order.list?");
    let (command, reply) = console.circle.query().await;
    assert_eq!(command, ReplCommand::Functions("order.list".into()));
    drop(reply.send(Ok(Vec::new())));
    assert_eq!(console.event_text().await, "began :functions order.list?");
    assert!(console.event_text().await.starts_with("listing order.list() -> any\n"));
    console.expect_events(&["done"]).await;
}
