//! Plays and their results.

use std::time::Duration;

use client_ws::{ClientError, LimitSetting, PlayLimit, RpcError, ScriptErrorKind};
use futures_util::future;
use serde::Deserialize;

use crate::{
    Env, Failure, Outcome,
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

pub(crate) async fn value_is_read_as_a_type(env: Env) -> Outcome {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Total {
        n: u8,
        names: Vec<String>,
        missing: Option<bool>,
    }
    let client = env.serve(&[]).await?.connect().await?;
    let result = client.play(r#"#{ n: 7, names: ["ä", "b"] }"#).await?;
    let expected = Total { n: 7, names: vec!["ä".into(), "b".into()], missing: None };
    ensure_eq!(result.value.get::<Total>()?, expected);
    ensure_eq!(result.r#type, "map");
    ensure!(result.value.get::<String>().is_err());
    ensure!(result.operations > 0);

    let text = client.play(r#""text""#).await?;
    ensure_eq!((text.output.as_str(), text.value.get::<String>()?), ("text", "text".to_owned()));
    let unit = client.play("()").await?;
    ensure_eq!((unit.output.as_str(), unit.r#type.as_str()), ("", "()"));
    Ok(())
}

pub(crate) async fn value_keeps_all_digits(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    for number in [i64::MAX, -i64::MAX, (1 << 53) + 1] {
        ensure_eq!(client.play(number.to_string()).await?.value.get::<i64>()?, number);
    }
    let number = client.play("1.0e300 / 3.0").await?.value.get::<f64>()?;
    ensure_eq!(number.to_bits(), (1.0e300_f64 / 3.0).to_bits());
    Ok(())
}

pub(crate) async fn variables_stay_between_plays(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    client.play("let count = 1; fn twice(x) { x * 2 }").await?;
    client.play("count += 20").await?;
    ensure_eq!(client.play("twice(count)").await?.value.get::<i64>()?, 42);
    Ok(())
}

pub(crate) async fn script_error_has_position_and_trace(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    let script = "fn boom(x) {\n    nope + x\n}\nboom(1)";
    let error = error_of(client.play(script).name("calculation.rhai").await)?;
    let ClientError::Rpc(RpcError::Script(error)) = error else {
        return Err(Failure::new(format!("{error:?} is not the error of a script")));
    };
    ensure_eq!(error.kind, ScriptErrorKind::Runtime);
    ensure!(error.message.contains("nope"), "{error:?}");
    ensure_eq!((error.line, error.column, error.function.as_deref()), (Some(2), Some(5), Some("boom")));
    let frames: Vec<_> =
        error.trace.iter().map(|frame| (frame.name.as_deref(), frame.function.as_deref(), frame.line)).collect();
    let name = Some("calculation.rhai");
    ensure_eq!(frames, [(name, Some("boom"), Some(2)), (name, None, Some(4))]);
    ensure_eq!(error.trace[0].text.as_deref(), Some("    nope + x"));

    let error = error_of(client.play("throw #{ code: 7 }").await)?;
    ensure_matches!(
        error,
        ClientError::Rpc(RpcError::Script(error))
            if error.thrown.as_ref().is_some_and(|thrown| thrown.get() == r#"{"code":7}"#)
    );
    Ok(())
}

pub(crate) async fn script_that_does_not_parse_is_an_error(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    let error = error_of(client.play("let kept = 1;\nlet = 2").await)?;
    ensure_matches!(
        error,
        ClientError::Rpc(RpcError::Script(error)) if error.kind == ScriptErrorKind::Parse && error.line == Some(2)
    );
    // No part of it ran.
    ensure_matches!(error_of(client.play("kept").await)?, ClientError::Rpc(RpcError::Script(_)));
    Ok(())
}

pub(crate) async fn concurrent_plays_get_their_own_results(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    let plays = (0..50_i64).map(|n| {
        let script = if n % 7 == 0 { format!("throw {n}") } else { format!("{n} * 1000") };
        let client = &client;
        async move { (n, client.play(script).await) }
    });
    for (n, result) in future::join_all(plays).await {
        if n % 7 == 0 {
            let error = error_of(result)?;
            let thrown = n.to_string();
            ensure_matches!(
                error,
                ClientError::Rpc(RpcError::Script(error))
                    if error.thrown.as_ref().is_some_and(|value| value.get() == thrown)
            );
        } else {
            ensure_eq!(result?.value.get::<i64>()?, n * 1000);
        }
    }
    Ok(())
}

pub(crate) async fn play_stops_at_its_timeout(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    client.play("let kept = 1").await?;
    let error = error_of(client.play("loop {}").timeout(Duration::from_millis(30)).await)?;
    let setting = Some(LimitSetting::TimeoutMs);
    ensure_matches!(
        error,
        ClientError::Rpc(RpcError::LimitExceeded { limit: PlayLimit::Time, max: 30, setting: found }) if *found == setting
    );
    ensure_eq!(client.play("kept").await?.value.get::<i64>()?, 1);
    Ok(())
}

pub(crate) async fn shortest_timeout_is_one_millisecond(env: Env) -> Outcome {
    let (client, connection) = env.fake_connection().await?;
    let timeouts = [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(1001)];
    for (timeout, expected) in timeouts.into_iter().zip([1, 1, 2]) {
        client.play("1").timeout(timeout).start().await?.detach();
        ensure_eq!(connection.receive("play").await?.params["timeout_ms"], expected);
    }
    Ok(())
}

pub(crate) async fn value_is_bound_to_a_name(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    client.play("6 * 7").bind("answer").await?;
    ensure_eq!(client.play("answer").await?.value.get::<i64>()?, 42);
    Ok(())
}

pub(crate) async fn result_over_the_output_limit_is_an_error(env: Env) -> Outcome {
    let client = env.serve(&["--limit", "output_kib=1"]).await?.connect().await?;
    let error = error_of(client.play(r#"let text = "x"; text.pad(2000, "x"); text"#).await)?;
    ensure_matches!(
        error,
        ClientError::Rpc(RpcError::LimitExceeded { limit: PlayLimit::Output, max: 1, setting: Some(_) })
    );
    ensure_eq!(client.play("text.len()").await?.value.get::<i64>()?, 2000);
    Ok(())
}
