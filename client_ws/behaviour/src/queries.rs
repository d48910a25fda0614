//! Queries of the session and of the circle.

use client_ws::{Access, CandidateKind, ClientError, Origin, RpcError};

use crate::{
    Env, Outcome,
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

pub(crate) async fn completions_know_the_session(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    client.play("let temperature = 21").await?;
    // The cursor counts characters.
    let script = r#"let a = "äöü"; tempe"#;
    let completed = client.complete(script, u64::try_from(script.chars().count())?).await?;
    ensure_eq!(completed.start, 15);
    let candidates: Vec<_> =
        completed.candidates.iter().map(|candidate| (candidate.text.as_str(), candidate.kind)).collect();
    ensure_eq!(candidates, [("temperature", CandidateKind::Variable)]);
    let error = error_of(client.complete("x", 2).await)?;
    ensure_matches!(error, ClientError::Rpc(RpcError::InvalidParams { param, .. }) if param == "cursor");
    Ok(())
}

pub(crate) async fn scope_lists_variables_and_functions(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    client.play("let list = [1, 2]; const LIMIT = 3; fn double(x) { x * 2 }").await?;
    let scope = client.scope().await?;
    let variables: Vec<_> = scope
        .variables
        .iter()
        .map(|variable| (variable.name.as_str(), variable.output.as_deref(), variable.length, variable.constant))
        .collect();
    ensure!(variables.contains(&("list", Some("[1, 2]"), Some(2), false)), "{variables:?}");
    ensure!(variables.contains(&("LIMIT", Some("3"), None, true)), "{variables:?}");
    let functions: Vec<_> = scope.functions.iter().map(|made| (made.name.as_str(), made.params.as_slice())).collect();
    ensure_eq!(functions, [("double", &["x".to_owned()][..])]);
    Ok(())
}

pub(crate) async fn lookup_finds_documentation(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    client.play("/// Doubles a number.\nfn double(x) { x * 2 }").await?;
    let found = client.lookup("double").await?;
    ensure_matches!(&found[..], [double] if double.doc.contains("Doubles") && double.origin == Origin::Session);
    ensure!(!client.lookup("len").await?.is_empty());
    ensure!(client.lookup("no_such_function").await?.is_empty());
    Ok(())
}

pub(crate) async fn reset_replaces_the_environment(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    client.play("let kept = 1").await?;
    client.reset().await?;
    ensure_matches!(error_of(client.play("kept").await)?, ClientError::Rpc(RpcError::Script(_)));
    ensure!(client.take_notice().is_none());
    Ok(())
}

pub(crate) async fn circle_describes_itself(env: Env) -> Outcome {
    let circle = env.serve(&["--name", "lab", "--limit", "output_kib=7"]).await?;
    let description = circle.connect().await?.describe().await?;
    ensure_eq!((description.name.as_str(), description.access), ("lab", Access::Open));
    ensure!(description.you.admitted);
    ensure_eq!(description.limits.output_kib, 7);
    Ok(())
}

pub(crate) async fn contract_is_an_openrpc_document(env: Env) -> Outcome {
    let contract = env.serve(&[]).await?.connect().await?.discover().await?;
    ensure!(contract["openrpc"].is_string() && contract["methods"].is_array(), "{contract}");
    Ok(())
}
