//! Words, members and errors of later versions of the protocol.

use client_ws::{Access, CandidateKind, ClientError, LossReason, Notice, Origin, OutputStream, PlayEvent, RpcError};
use futures_util::future;
use serde_json::json;

use crate::{
    Env, Outcome,
    failure::{ensure_eq, ensure_matches, error_of},
};

pub(crate) async fn unknown_words_of_notifications_end_nothing(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    let mut play = client.play("1").start().await?;
    let request = connection.receive("play").await?;
    connection.send(r#"{"jsonrpc":"2.0","method":"later"}"#).await?;
    connection.notify("event", &json!([1])).await?;
    connection.notify("session.reset", &json!({ "reason": "upgraded", "more": 1 })).await?;
    let output = json!({ "play": request.id, "stream": "warn", "text": "x", "more": {} });
    connection.notify("play.output", &output).await?;
    let event = play.next().await;
    ensure_matches!(&event, Some(PlayEvent::Output(output)) if output.stream == OutputStream::Unknown);
    ensure_eq!(client.take_notice(), Some(Notice::EnvironmentLost { reason: LossReason::Unknown }));
    play.detach();
    Ok(())
}

pub(crate) async fn unknown_words_of_answers_are_unknown(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    let description = json!({
        "name": "team", "version": "9", "protocol": 1, "access": "invited", "modules": [], "sandbox": ["moat"],
        "you": { "public_key": null, "admitted": true, "more": 1 }, "limits": { "later": 1 }, "more": [1],
    });
    let candidate = json!({ "text": "x", "kind": "widget", "detail": "", "more": 1 });
    let function = json!({ "signature": "f()", "doc": "", "origin": "cloud" });
    let results = [
        ("describe", description),
        ("complete", json!({ "start": 0, "candidates": [candidate] })),
        ("lookup", json!({ "functions": [function] })),
    ];
    let ((described, completed, found), answered) = future::join(
        async { (client.describe().await, client.complete("x", 1).await, client.lookup("f").await) },
        async {
            for (method, result) in &results {
                let request = connection.receive(method).await?;
                connection.answer(&request, result).await?;
            }
            Ok::<_, crate::Failure>(())
        },
    )
    .await;
    answered?;
    ensure_eq!(described?.access, Access::Unknown);
    ensure_eq!(completed?.candidates[0].kind, CandidateKind::Unknown);
    ensure_eq!(found?[0].origin, Origin::Unknown);
    Ok(())
}

pub(crate) async fn unknown_error_is_kept(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    let (described, answered) = future::join(client.describe(), async {
        let request = connection.receive("describe").await?;
        let error = json!({ "code": -32099, "message": "Moon is full", "data": { "until": 5 } });
        connection.send(&json!({ "jsonrpc": "2.0", "id": request.id, "error": error }).to_string()).await
    })
    .await;
    answered?;
    ensure_matches!(
        error_of(described)?,
        ClientError::Rpc(RpcError::Other(error))
            if error.code == -32099 && error.message == "Moon is full" && error.data == Some(json!({ "until": 5 }))
    );
    Ok(())
}

pub(crate) async fn late_and_unknown_responses_are_ignored(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    let (discovered, answered) = future::join(client.discover(), async {
        let request = connection.receive("rpc.discover").await?;
        connection.send(r#"{"jsonrpc":"2.0","id":4711,"result":1}"#).await?;
        connection.send(r#"{"jsonrpc":"2.0","id":"later","result":1}"#).await?;
        connection.answer(&request, &json!({ "n": 1 })).await?;
        connection.answer(&request, &json!({ "n": 2 })).await
    })
    .await;
    answered?;
    ensure_eq!(discovered?, json!({ "n": 1 }));
    let (discovered, answered) = future::join(client.discover(), async {
        let request = connection.receive("rpc.discover").await?;
        connection.answer(&request, &json!({ "n": 3 })).await
    })
    .await;
    answered?;
    ensure_eq!(discovered?, json!({ "n": 3 }));
    Ok(())
}
