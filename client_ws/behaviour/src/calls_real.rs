//! Calls of functions of real circles.

use std::time::Duration;

use client_ws::{
    CallRequest, CircleWsClient, ClientError, KeyPair, LimitSetting, MissingRight, PlayEvent, RpcError, ScriptErrorKind,
};
use futures_util::future;
use serde_json::{Value, json};

use crate::{
    Env, Failure, Outcome,
    env::{Circle, key},
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

/// The functions of the circles.
const FUNCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/functions");

/// Starts a circle where anyone may call `price` and `who`, and the member everything and play.
async fn shop(env: &Env, member: &KeyPair) -> Result<Circle, Failure> {
    let roles = json!({
        "roles": {
            "visitor": { "call": ["price", "who"] },
            "owner": { "call": ["*"], "play": true },
        },
        "anyone": "visitor",
        "members": [{ "name": "alice", "keys": [member.public_key().to_hex()], "role": "owner" }],
    });
    env.serve(&["--functions", FUNCTIONS, "--roles", &roles.to_string(), "--limit", "call_ms=600000"]).await
}

/// Returns a visitor without a key, and the member.
async fn visitor_and_member(env: &Env) -> Result<(CircleWsClient, CircleWsClient), Failure> {
    let key = key()?;
    let shop = shop(env, &key).await?;
    let member = shop.builder().keypair(key).build()?;
    member.connect().await?;
    member.authenticate().await?;
    Ok((shop.connect().await?, member))
}

pub(crate) async fn function_returns_its_value(env: Env) -> Outcome {
    let (visitor, _) = visitor_and_member(&env).await?;
    ensure_eq!(visitor.call::<Value>("price", json!({ "item": "tea", "count": 2 })).await?, json!(5.0));
    ensure_eq!(visitor.call::<Value>("price", ["tea"]).await?, json!(2.5));
    ensure_eq!(visitor.call::<Value>("price", json!({ "item": "tea", "count": null })).await?, json!(2.5));
    Ok(())
}

pub(crate) async fn function_knows_its_caller(env: Env) -> Outcome {
    let (visitor, member) = visitor_and_member(&env).await?;
    let key = member.public_key().map(|key| key.to_hex());
    ensure_eq!(visitor.call::<Value>("who", ()).await?["role"], json!("visitor"));
    ensure_eq!(member.call::<Value>("who", ()).await?, json!({ "role": "owner", "name": "alice", "key": key }));
    Ok(())
}

pub(crate) async fn thrown_value_reaches_the_caller(env: Env) -> Outcome {
    let (visitor, _) = visitor_and_member(&env).await?;
    let error = error_of(visitor.call::<Value>("price", ["milk"]).await)?;
    let ClientError::Rpc(RpcError::Script(error)) = error else {
        return Err(Failure::new(format!("a thrown value was expected, not {error:?}")));
    };
    ensure_eq!(error.kind, ScriptErrorKind::Thrown);
    let thrown = error.thrown.as_ref().map_or("", |thrown| thrown.get());
    ensure_eq!(serde_json::from_str::<Value>(thrown)?, json!({ "code": "unknown_item", "item": "milk" }));
    Ok(())
}

pub(crate) async fn unfit_parameters_are_named(env: Env) -> Outcome {
    let (visitor, _) = visitor_and_member(&env).await?;
    for (params, name) in [
        (json!({}), "item"),
        (json!({ "item": "" }), "item"),
        (json!({ "item": "tea", "count": 0 }), "count"),
        (json!({ "item": "tea", "colour": 1 }), "colour"),
    ] {
        let error = error_of(visitor.call::<Value>("price", params).await)?;
        ensure_matches!(error, ClientError::Rpc(RpcError::InvalidParams { param, .. }) if param == name);
    }
    Ok(())
}

pub(crate) async fn unknown_function_and_forbidden_one_are_the_same(env: Env) -> Outcome {
    let (visitor, _) = visitor_and_member(&env).await?;
    for name in ["slow", "slow.broken", "nothing"] {
        let error = error_of(visitor.call::<Value>(name, ()).await)?;
        let method = format!("fn.{name}");
        ensure_matches!(&error, ClientError::Rpc(RpcError::MethodNotFound { method: found }) if *found == method);
    }
    Ok(())
}

pub(crate) async fn failure_of_function_is_internal_without_the_right_to_play(env: Env) -> Outcome {
    let key = key()?;
    let roles = json!({
        "roles": { "visitor": { "call": ["*"] }, "owner": { "call": ["*"], "play": true } },
        "anyone": "visitor",
        "members": [{ "name": "alice", "keys": [key.public_key().to_hex()], "role": "owner" }],
    });
    let shop = env.serve(&["--functions", FUNCTIONS, "--roles", &roles.to_string()]).await?;
    let visitor = shop.connect().await?;
    ensure_matches!(error_of(visitor.call::<Value>("slow.broken", ()).await)?, ClientError::Rpc(RpcError::Internal));
    ensure_matches!(error_of(visitor.call::<Value>("slow.untrue", ()).await)?, ClientError::Rpc(RpcError::Internal));
    let member = shop.builder().keypair(key).build()?;
    member.connect().await?;
    member.authenticate().await?;
    ensure_matches!(
        error_of(member.call::<Value>("slow.broken", ()).await)?,
        ClientError::Rpc(RpcError::Script(error)) if error.kind == ScriptErrorKind::Runtime
    );
    Ok(())
}

pub(crate) async fn call_is_cancelled_while_plays_and_calls_run(env: Env) -> Outcome {
    let (_, member) = visitor_and_member(&env).await?;
    let mut slow = member.start_call(CallRequest::new("slow")).await?;
    ensure_matches!(slow.next().await, Some(PlayEvent::Progress(progress)) if progress.done == Some(1));
    // Neither waits for the call that runs.
    ensure_eq!(member.play("6 * 7").await?.value.get::<i64>()?, 42);
    ensure_eq!(member.call::<Value>("price", ["tea"]).await?, json!(2.5));
    ensure!(slow.cancel().await?);
    ensure_matches!(error_of(slow.result::<Value>().await)?, ClientError::Rpc(RpcError::Cancelled));
    let slow = member.start_call(CallRequest::new("slow")).await?;
    let id = slow.id().clone();
    drop(slow);
    // The circle cancels the dropped call, and then knows no call with this id.
    while member.cancel(&id).await? {}
    Ok(())
}

pub(crate) async fn call_stops_at_its_timeout(env: Env) -> Outcome {
    let (_, member) = visitor_and_member(&env).await?;
    let call = member.start_call(CallRequest::new("slow").timeout(Duration::from_millis(50))).await?;
    ensure_matches!(
        error_of(call.result::<Value>().await)?,
        ClientError::Rpc(RpcError::LimitExceeded { setting: Some(LimitSetting::TimeoutMs), max: 50, .. })
    );
    Ok(())
}

pub(crate) async fn output_of_call_is_for_callers_who_may_play(env: Env) -> Outcome {
    let (visitor, member) = visitor_and_member(&env).await?;
    let request = || CallRequest::new("price").params(["tea"]);
    let mut call = member.start_call(request()).await?;
    ensure_matches!(call.next().await, Some(PlayEvent::Output(output)) if output.text == "looking up tea");
    ensure!(call.next().await.is_none());
    let mut call = visitor.start_call(request()).await?;
    ensure!(call.next().await.is_none());
    ensure_eq!(call.result::<Value>().await?, json!(2.5));
    Ok(())
}

pub(crate) async fn functions_are_those_of_the_role(env: Env) -> Outcome {
    let (visitor, member) = visitor_and_member(&env).await?;
    let names = async |client: &CircleWsClient| -> Result<Vec<String>, Failure> {
        let mut names: Vec<String> = client.functions().await?.into_iter().map(|function| function.name).collect();
        names.sort();
        Ok(names)
    };
    ensure_eq!(names(&visitor).await?, ["price", "who"]);
    ensure_eq!(names(&member).await?, ["price", "slow", "slow.broken", "slow.untrue", "who"]);
    let functions = visitor.functions().await?;
    let Some(price) = functions.iter().find(|function| function.name == "price") else {
        return Err(Failure::new("there is no price"));
    };
    ensure_eq!(price.signature, "price(item: string 1..64, count?: int 1..100 = 1) -> float");
    ensure_eq!((price.summary.as_str(), price.is_readonly), ("The price of an item.", true));
    ensure_eq!(price.params.len(), 2);
    ensure_eq!((price.params[0].is_required, price.params[0].doc.as_str()), (true, "what"));
    ensure_eq!((price.params[1].is_required, &price.params[1].default), (false, &Some(json!(1))));
    ensure_eq!(price.argument("count", "7")?, json!(7));
    ensure_eq!(price.thrown.len(), 1);
    let (described, all) = future::join(visitor.describe(), member.describe()).await;
    let (described, all) = (described?, all?);
    ensure_eq!(described.functions.map(|functions| functions.count), Some(2));
    ensure_eq!((described.you.role.as_deref(), described.you.may.map(|may| may.play)), (Some("visitor"), Some(false)));
    ensure_eq!((all.you.name.as_deref(), all.you.may.map(|may| may.play)), (Some("alice"), Some(true)));
    Ok(())
}

pub(crate) async fn visitor_may_not_play(env: Env) -> Outcome {
    let (visitor, _) = visitor_and_member(&env).await?;
    // No key is authenticated, so a key could help.
    ensure_matches!(
        error_of(visitor.play("1").await)?,
        ClientError::Rpc(RpcError::Unauthenticated | RpcError::Forbidden { missing: Some(MissingRight::Play), .. })
    );
    Ok(())
}
