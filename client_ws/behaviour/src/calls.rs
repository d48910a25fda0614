//! Calls of functions, against fake circles.

use std::time::Duration;

use client_ws::{CallRequest, ClientError, MissingRight, PlayEvent, PlayValue, RpcError, ScriptErrorKind};
use futures_util::future;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Env, Failure, Outcome,
    env::{FakeConnection, ReceivedRequest},
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

/// An order, as a program declares the value of a function.
#[derive(Debug, PartialEq, Deserialize)]
struct Order {
    order: String,
    left: i64,
}

/// Answers the next call of a function, and returns the request.
async fn answer_call(circle: &FakeConnection, method: &str, value: &Value) -> Result<ReceivedRequest, Failure> {
    let request = circle.receive(method).await?;
    circle.answer(&request, value).await?;
    Ok(request)
}

/// The error of a call that the circle answers with an error object.
async fn call_error(env: &Env, error: &Value) -> Result<ClientError, Failure> {
    let (client, circle) = env.fake_connection().await?;
    let (value, answered) = future::join(client.call::<Value>("price", json!({ "item": "tea" })), async {
        let request = circle.receive("fn.price").await?;
        circle.send(&json!({ "jsonrpc": "2.0", "id": request.id, "error": error }).to_string()).await
    })
    .await;
    answered?;
    error_of(value)
}

pub(crate) async fn value_of_function_is_read_as_a_type(env: Env) -> Outcome {
    let (client, circle) = env.fake_connection().await?;
    let (order, request) = future::join(
        client.call::<Order>("order.place", json!({ "item": "tea", "count": 2 })),
        answer_call(&circle, "fn.order.place", &json!({ "order": "A1", "left": 3 })),
    )
    .await;
    ensure_eq!(request?.params, json!({ "item": "tea", "count": 2 }));
    ensure_eq!(order?, Order { order: "A1".into(), left: 3 });
    Ok(())
}

pub(crate) async fn parameters_are_by_position_too(env: Env) -> Outcome {
    let (client, circle) = env.fake_connection().await?;
    let (price, request) =
        future::join(client.call::<Value>("price", ("tea", 2)), answer_call(&circle, "fn.price", &json!(4.5))).await;
    ensure_eq!(request?.params, json!(["tea", 2]));
    ensure_eq!(price?, json!(4.5));
    let (now, request) = future::join(client.call::<()>("now", ()), answer_call(&circle, "fn.now", &json!(null))).await;
    ensure_eq!(request?.params, json!({}));
    now?;
    ensure_matches!(error_of(client.call::<f64>("price", "tea").await)?, ClientError::BadParams { .. });
    Ok(())
}

pub(crate) async fn value_of_another_type_keeps_the_connection(env: Env) -> Outcome {
    let (client, circle) = env.fake_connection().await?;
    let (value, answered) =
        future::join(client.call::<i64>("price", ()), answer_call(&circle, "fn.price", &json!("dear"))).await;
    answered?;
    ensure_matches!(error_of(value)?, ClientError::UnexpectedValue { function, .. } if function == "price");
    let (value, answered) =
        future::join(client.call::<PlayValue>("price", ()), answer_call(&circle, "fn.price", &json!("dear"))).await;
    answered?;
    ensure_eq!(value?.as_json(), "\"dear\"");
    Ok(())
}

pub(crate) async fn time_limit_of_a_call_is_sent(env: Env) -> Outcome {
    let (client, circle) = env.fake_connection().await?;
    let request = CallRequest::new("price").params(json!({ "item": "tea" })).timeout(Duration::from_micros(1500));
    let call = client.start_call(request).await?;
    let request = answer_call(&circle, "fn.price", &json!(1)).await?;
    ensure_eq!(request.params, json!({ "_meta": { "timeout_ms": 2 }, "item": "tea" }));
    ensure_eq!(call.result::<i64>().await?, 1);
    Ok(())
}

pub(crate) async fn errors_of_calls_have_their_data(env: Env) -> Outcome {
    let thrown =
        json!({ "code": -32000, "message": "Runtime error", "data": { "kind": "thrown", "thrown": { "left": 3 } } });
    let error = call_error(&env, &thrown).await?;
    let ClientError::Rpc(RpcError::Script(error)) = error else {
        return Err(Failure::new(format!("a thrown value was expected, not {error:?}")));
    };
    ensure_eq!(error.kind, ScriptErrorKind::Thrown);
    ensure_eq!(error.thrown.as_ref().map(|thrown| thrown.get()), Some(r#"{"left":3}"#));

    let unknown = json!({ "code": -32601, "message": "Method not found", "data": { "method": "fn.price" } });
    ensure_matches!(
        call_error(&env, &unknown).await?,
        ClientError::Rpc(RpcError::MethodNotFound { method }) if method == "fn.price"
    );
    let unfit =
        json!({ "code": -32602, "message": "Invalid params", "data": { "param": "items[2].count", "reason": "is 0" } });
    ensure_matches!(
        call_error(&env, &unfit).await?,
        ClientError::Rpc(RpcError::InvalidParams { param, .. }) if param == "items[2].count"
    );
    let forbidden = json!({ "code": -32003, "message": "Forbidden", "data": { "reason": "role", "missing": "play" } });
    ensure_matches!(
        call_error(&env, &forbidden).await?,
        ClientError::Rpc(RpcError::Forbidden { missing: Some(MissingRight::Play), .. })
    );
    Ok(())
}

pub(crate) async fn running_call_is_an_owned_stream(env: Env) -> Outcome {
    let (client, circle) = env.fake_connection().await?;
    let mut call = client.start_call(CallRequest::new("price")).await?;
    let request = circle.receive("fn.price").await?;
    let progress = json!({ "play": request.id, "elapsed_us": 1, "operations": 2, "done": 3 });
    circle.notify("play.progress", &progress).await?;
    ensure_matches!(call.next().await, Some(PlayEvent::Progress(progress)) if progress.operations == 2);
    circle.notify("play.output", &json!({ "play": request.id, "stream": "print", "text": "tea" })).await?;
    ensure_matches!(call.next().await, Some(PlayEvent::Output(output)) if output.text == "tea");
    circle.answer(&request, &json!(4.5)).await?;
    ensure!(call.next().await.is_none());
    ensure_eq!(call.result::<Value>().await?, json!(4.5));
    Ok(())
}

pub(crate) async fn calls_and_plays_get_their_own_answers(env: Env) -> Outcome {
    let (client, circle) = env.fake_connection().await?;
    let first = client.start_call(CallRequest::new("price").params(["tea"])).await?;
    let play = client.play("1").start().await?;
    let second = client.start_call(CallRequest::new("price").params(["milk"])).await?;
    let first_request = circle.receive("fn.price").await?;
    let play_request = circle.receive("play").await?;
    let second_request = circle.receive("fn.price").await?;
    circle.answer(&second_request, &json!("second")).await?;
    circle.answer_play(&play_request, &json!("play")).await?;
    circle.answer(&first_request, &json!("first")).await?;
    ensure_eq!(first.result::<String>().await?, "first");
    ensure_eq!(second.result::<String>().await?, "second");
    ensure_eq!(play.result().await?.value.get::<String>()?, "play");
    Ok(())
}

pub(crate) async fn call_is_cancelled_and_dropped_as_a_play_is(env: Env) -> Outcome {
    let (client, circle) = env.fake_connection().await?;
    let call = client.start_call(CallRequest::new("slow")).await?;
    let request = circle.receive("fn.slow").await?;
    let (cancelled, answered) = future::join(call.cancel(), async {
        let cancel = circle.receive("cancel").await?;
        ensure_eq!(cancel.params, json!({ "play": request.id }));
        circle.answer(&cancel, &json!({ "cancelled": true })).await
    })
    .await;
    answered?;
    ensure!(cancelled?);
    let error = json!({ "code": -32005, "message": "Cancelled" });
    circle.send(&json!({ "jsonrpc": "2.0", "id": request.id, "error": error }).to_string()).await?;
    ensure_matches!(error_of(call.result::<Value>().await)?, ClientError::Rpc(RpcError::Cancelled));

    client.start_call(CallRequest::new("slow")).await?.detach();
    circle.receive("fn.slow").await?;
    drop(client.start_call(CallRequest::new("slow")).await?);
    let request = circle.receive("fn.slow").await?;
    ensure_eq!(circle.receive("cancel").await?.params, json!({ "play": request.id }));

    let mut value = Box::pin(client.call::<Value>("slow", ()));
    let request = match future::select(&mut value, Box::pin(circle.receive("fn.slow"))).await {
        future::Either::Left(_) => return Err(Failure::new("a call without an answer has ended")),
        future::Either::Right((request, _)) => request?,
    };
    drop(value);
    ensure_eq!(circle.receive("cancel").await?.params, json!({ "play": request.id }));
    Ok(())
}

pub(crate) async fn functions_are_those_of_the_document(env: Env) -> Outcome {
    let (client, circle) = env.fake_connection().await?;
    let item = json!({ "name": "item", "required": true, "schema": { "type": "string" }, "x-type": "string 1..64" });
    let document = json!({ "methods": [
        { "name": "play" },
        { "name": "fn.price", "summary": "The price of an item.", "params": [item], "x-readonly": true,
          "result": { "name": "result", "schema": { "type": "number" }, "x-type": "float" } },
    ] });
    let (functions, answered) = future::join(client.functions(), answer_call(&circle, "rpc.discover", &document)).await;
    answered?;
    let functions = functions?;
    ensure_eq!(functions.len(), 1);
    ensure_eq!((functions[0].name.as_str(), functions[0].is_readonly), ("price", true));
    ensure_eq!(functions[0].argument("item", "tea")?, json!("tea"));
    let (functions, answered) =
        future::join(client.functions(), answer_call(&circle, "rpc.discover", &json!({ "methods": [] }))).await;
    answered?;
    ensure!(functions?.is_empty());
    Ok(())
}

pub(crate) async fn call_fails_with_its_connection(env: Env) -> Outcome {
    let (client, circle) = env.fake_connection().await?;
    let call = client.start_call(CallRequest::new("slow")).await?;
    circle.receive("fn.slow").await?;
    circle.close(1008, "no longer a member").await?;
    ensure_matches!(
        error_of(call.result::<Value>().await)?,
        ClientError::ConnectionLost { code: Some(1008), reason } if reason.contains("no longer a member")
    );
    Ok(())
}
