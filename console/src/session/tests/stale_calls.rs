//! Calls that were read by an outdated list of functions.

use client_ws::{FunctionsInfo, RpcError};
use serde_json::json;

use super::{Console, calls::shop_console, fake};
use crate::functions::tests::shop;

/// A circle reloads its functions, with another version.
fn reload(console: &mut Console, count: u64) {
    let version = console.circle.functions.as_ref().map_or(0, |functions| functions.version.len());
    console.circle.functions = Some(FunctionsInfo { version: "2".repeat(version + 1), count });
    console.circle.publish();
}

#[tokio::test(start_paused = true)]
async fn call_with_a_new_parameter_is_sent_after_a_reload() {
    let mut console = shop_console().await;
    let mut functions = shop();
    let count = functions[0].params[2].clone();
    functions[2].params.push(count);
    reload(&mut console, 3);
    console.submit(":call price item=tea count=2");
    console.circle.list(functions).await;
    let (call, running) = console.circle.called().await;
    assert_eq!(serde_json::Value::from(call.params), json!({ "item": "tea", "count": 2 }));
    running.answer(5).await;
    console.expect_events(&["began :call price item=tea count=2", "value 5", "done"]).await;
    // A mistake costs one question, and the list is not fetched again without another version.
    let before = console.circle.questions().0;
    console.submit(":call price item=tea cuont=2");
    assert_eq!(console.event_text().await, "began :call price item=tea cuont=2");
    assert!(console.event_text().await.contains("price has no parameter \"cuont\""));
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
    assert_eq!(console.circle.questions().0, before + 1);
}

#[tokio::test(start_paused = true)]
async fn refused_call_is_sent_again_if_its_arguments_have_other_types_now() {
    let mut console = shop_console().await;
    let mut functions = shop();
    functions[2].params[0].schema = json!({ "type": "integer" });
    functions[2].params[0].type_text = "int".into();
    reload(&mut console, 3);
    console.submit(":call price item=5");
    let (call, running) = console.circle.called().await;
    assert_eq!(serde_json::Value::from(call.params), json!({ "item": "5" }));
    let error = || RpcError::InvalidParams { param: "item".into(), reason: "expected int, got \"5\"".into() };
    running.fail(error()).await;
    console.circle.list(functions).await;
    let (call, running) = console.circle.called().await;
    assert_eq!(serde_json::Value::from(call.params), json!({ "item": 5 }));
    running.answer(7).await;
    console.expect_events(&["began :call price item=5", "value 7", "done"]).await;
    // Arguments with the same meaning are not sent again.
    console.submit(":call price item=6");
    console.circle.called().await.1.fail(error()).await;
    assert_eq!(console.event_text().await, "began :call price item=6");
    assert!(console.event_text().await.starts_with("error error: cannot call price: item: expected int"));
    console.expect_events(&["done"]).await;
    // The first call ran in the end.
    assert_eq!(console.refused_calls, ["cannot call price: item: expected int, got \"5\""]);
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn refused_call_is_sent_again_once() {
    let mut console = shop_console().await;
    console.submit(":call price item=5");
    let error = || RpcError::InvalidParams { param: "item".into(), reason: "no".into() };
    let types = [json!({ "type": "integer" }), json!({ "type": "string" })];
    for schema in types {
        let (_, running) = console.circle.called().await;
        let mut functions = shop();
        functions[2].params[0].schema = schema.clone();
        reload(&mut console, 3);
        running.fail(error()).await;
        if schema["type"] == "integer" {
            console.circle.list(functions).await;
        }
    }
    assert_eq!(console.event_text().await, "began :call price item=5");
    assert!(console.event_text().await.starts_with("error error: cannot call price: item: no"));
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
    assert_eq!(console.refused_calls, ["cannot call price: item: no"]);
}

#[tokio::test(start_paused = true)]
async fn error_of_a_lost_function_has_the_new_role_and_does_not_suggest_the_function() {
    let mut console = shop_console().await;
    console.circle.role = Some("guest".into());
    reload(&mut console, 2);
    console.submit(":call price item=tea");
    console.circle.called().await.1.fail(RpcError::MethodNotFound { method: "fn.price".into() }).await;
    let mut functions = shop();
    functions.pop();
    console.circle.list(functions).await;
    assert_eq!(console.event_text().await, "began :call price item=tea");
    let shown = console.event_text().await.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("with the role guest") && !shown.contains("did you mean price"), "{shown}");
    console.expect_events(&["done"]).await;
}

#[tokio::test(start_paused = true)]
async fn cancelled_refusal_ends_at_once_with_its_error() {
    let mut console = shop_console().await;
    reload(&mut console, 3);
    console.submit(":call price item=tea");
    console.circle.called().await.1.fail(RpcError::MethodNotFound { method: "fn.price".into() }).await;
    let fake::RemoteCall::Functions(_unanswered) = console.circle.call().await else { panic!("a question") };
    assert!(console.state().running.is_some());
    console.cancel();
    assert_eq!(console.event_text().await, "began :call price item=tea");
    assert!(console.event_text().await.starts_with("error error: you cannot call 'price'"));
    console.expect_events(&["done"]).await;
    assert!(console.state().running.is_none());
}
