//! What differs between a native client and one in a browser by design: the table of `docs/client.md`.
//!
//! `tests/tls.rs` and `web/tests/` test certificates, which the two sides choose in different ways.

use client_ws::{Authority, CircleWsClient, ClientError};
use futures_util::future::{self, Either};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Env, Failure, Outcome,
    control::Frame,
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

/// Whether the test runs in a browser.
const IS_BROWSER: bool = cfg!(target_arch = "wasm32");

/// A native client sends the authority of the circle behind a tunnel as `Host`. A browser sends that of the URL, so the
/// circle signs its identity for that one, and the client does not accept it.
pub(crate) async fn authority_is_that_of_the_side(env: Env) -> Outcome {
    let circle = env.serve(&["--hosts", "team.example:7"]).await?;
    let authority = Authority::from_host_header("team.example:7")?;
    let client = circle.builder().authority(authority).accept_ephemeral_identity().build()?;
    let connected = client.connect().await;
    if IS_BROWSER {
        let error = error_of(connected)?;
        ensure_matches!(error, ClientError::NotACircle { reason, .. } if reason.contains("signature"));
    } else {
        connected?;
        ensure_eq!(client.play("6 * 7").await?.value.get::<i64>()?, 42);
    }
    Ok(())
}

/// A native client dials a literal address and sends it as `Host`; a browser sends the name.
pub(crate) async fn localhost_is_what_the_side_dials(env: Env) -> Outcome {
    let fake = env.fake().await?;
    let port = fake.port;
    let client = CircleWsClient::builder(format!("ws://localhost:{port}")).build()?;
    let connect = Box::pin(client.connect());
    let Either::Right((connection, _)) = future::select(connect, Box::pin(fake.accept_unidentified())).await else {
        return Err(Failure::new("the client has not waited for an identity"));
    };
    let expected = if IS_BROWSER { format!("localhost:{port}") } else { format!("127.0.0.1:{port}") };
    ensure_eq!(connection?.host, expected);
    Ok(())
}

/// A native client knows the HTTP status and the reason of a refusal; a browser tells a page neither.
pub(crate) async fn refused_connection_says_what_the_side_may_know(env: Env) -> Outcome {
    let circle = env.serve(&["--limit", "connections=1"]).await?;
    let _only = circle.connect().await?;
    let error = error_of(circle.builder().build()?.connect().await)?;
    if IS_BROWSER {
        ensure_matches!(error, ClientError::Unreachable { reason, .. } if reason.contains("developer tools"));
    } else {
        ensure_matches!(error, ClientError::Refused { status: 503, reason, .. } if reason.contains("limits.connections"));
    }
    Ok(())
}

/// A browser sends the origin of the page, which the circle has to list; a native client sends none.
pub(crate) async fn foreign_origin_is_a_matter_of_browsers(env: Env) -> Outcome {
    let circle = env.serve_without_origins().await?;
    let connected = circle.builder().build()?.connect().await;
    if IS_BROWSER {
        ensure_matches!(error_of(connected)?, ClientError::Unreachable { reason, .. } if reason.contains("`origins`"));
    } else {
        connected?;
    }
    Ok(())
}

/// A native client sends pings. A page cannot, so the client there cancels a play that never exists.
pub(crate) async fn idle_client_sends_the_heartbeat_of_the_side(env: Env) -> Outcome {
    #[derive(Deserialize)]
    struct Request {
        method: String,
        id: u64,
        params: Value,
    }
    let (client, connection) = env.fake_connection().await?;
    match connection.frame().await? {
        Frame::Ping => ensure!(!IS_BROWSER),
        Frame::Text(text) => {
            ensure!(IS_BROWSER);
            let request: Request = serde_json::from_str(&text)?;
            ensure_eq!((request.method.as_str(), request.id), ("cancel", 0));
            ensure_eq!(request.params, json!({ "play": 0 }));
            connection.send(r#"{"jsonrpc":"2.0","id":0,"result":{"cancelled":false}}"#).await?;
        }
        Frame::End => return Err(Failure::new("the client has closed the connection")),
    }
    ensure!(client.is_connected());
    Ok(())
}
