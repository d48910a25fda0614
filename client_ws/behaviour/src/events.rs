//! The events of running plays.

use client_ws::{ClientError, OutputStream, PlayEvent, RpcError, RunningPlay};
use futures_util::{StreamExt, future::LocalBoxFuture};

use crate::{
    Env, Failure, Outcome,
    failure::{ensure, ensure_eq, ensure_matches, error_of},
};

/// Waits for the next event that is not progress, which a play on a busy machine reports at any time.
async fn next(play: &mut RunningPlay) -> Option<PlayEvent> {
    loop {
        match play.next().await {
            Some(PlayEvent::Progress(_)) => {}
            event => return event,
        }
    }
}

/// Returns the text of an event that has to be output.
fn text_of(event: &PlayEvent) -> Result<&str, Failure> {
    match event {
        PlayEvent::Output(output) => Ok(&output.text),
        other => Err(Failure::new(format!("{other:?} is not output"))),
    }
}

/// Returns the texts of events that are output or progress.
fn texts_of(events: &[PlayEvent]) -> Result<Vec<&str>, Failure> {
    events.iter().filter(|event| !matches!(event, PlayEvent::Progress(_))).map(text_of).collect()
}

pub(crate) async fn prints_are_a_stream_before_the_result(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    let mut play = client.play(r#"for n in 1..=3 { print(n) } "done""#).start().await?;
    let mut texts = Vec::new();
    while let Some(event) = next(&mut play).await {
        ensure_matches!(&event, PlayEvent::Output(output) if output.stream == OutputStream::Print);
        texts.push(text_of(&event)?.to_owned());
    }
    ensure_eq!(texts, ["1", "2", "3"]);
    ensure_eq!(play.result().await?.value.get::<String>()?, "done");
    Ok(())
}

pub(crate) async fn debug_output_has_a_position(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    let mut play = client.play("1;\n  debug(\"seen\")").start().await?;
    let event = next(&mut play).await;
    ensure_matches!(
        &event,
        Some(PlayEvent::Output(output))
            if output.stream == OutputStream::Debug
                && output.text == r#""seen""#
                && output.position.is_some_and(|position| position.line == 2)
    );
    play.result().await?;
    Ok(())
}

pub(crate) async fn progress_is_an_event(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    let mut play = client.play(r#"progress(1, 2, "half"); loop {}"#).start().await?;
    let event = play.next().await;
    ensure_matches!(
        &event,
        Some(PlayEvent::Progress(progress))
            if (progress.done, progress.total) == (Some(1), Some(2))
                && progress.text.as_deref() == Some("half")
                && progress.operations > 0
    );
    ensure!(play.cancel().await?);
    Ok(())
}

pub(crate) async fn running_play_is_an_owned_stream(env: Env) -> Outcome {
    let client = env.serve(&[]).await?.connect().await?;
    let play = client.play(r#"print("one"); print("two")"#).start().await?;
    // A future without a lifetime needs a play that borrows nothing.
    let events: LocalBoxFuture<'static, Vec<PlayEvent>> = Box::pin(play.collect());
    ensure_eq!(texts_of(&events.await)?, ["one", "two"]);
    Ok(())
}

pub(crate) async fn untaken_events_delay_nothing_else(env: Env) -> Outcome {
    const PRINTS: usize = 2000;
    let client = env.serve(&["--limit", "play_ms=600000"]).await?.connect().await?;
    let talkative = client.play(format!("for n in 0..{PRINTS} {{ print(n) }}")).start().await?;
    // The second play runs once the circle has sent all events of the first.
    let mut endless = client.play(r#"let seen = 1; print("begun"); loop {}"#).start().await?;
    ensure_eq!(next(&mut endless).await.as_ref().map(text_of).transpose()?, Some("begun"));
    client.scope().await?;
    client.describe().await?;
    client.complete("pri", 3).await?;
    ensure!(endless.cancel().await?);
    ensure_matches!(error_of(endless.result().await)?, ClientError::Rpc(RpcError::Cancelled));
    let events: Vec<_> = talkative.collect().await;
    let expected: Vec<_> = (0..PRINTS).map(|n| n.to_string()).collect();
    ensure_eq!(texts_of(&events)?, expected);
    Ok(())
}

pub(crate) async fn events_over_the_limit_are_counted(env: Env) -> Outcome {
    // Each event counts its text and 256 bytes, and the client keeps 32 MiB.
    const KEPT: usize = 33;
    let client = env.serve(&["--limit", "output_kib=65536"]).await?.connect().await?;
    let script = r#"let text = ""; text.pad(1000000, "x"); for n in 0..40 { print(text) }"#;
    let mut play = client.play(script).start().await?;
    // All events have arrived when the next play has ended.
    client.play("1").await?;
    for _ in 0..KEPT {
        let event = next(&mut play).await;
        ensure_eq!(event.as_ref().map(text_of).transpose()?.map(str::len), Some(1_000_000));
    }
    let mut dropped = 0;
    while let Some(event) = next(&mut play).await {
        let PlayEvent::EventsDropped { count } = event else {
            return Err(Failure::new(format!("{event:?} does not count dropped events")));
        };
        dropped += count;
    }
    ensure_eq!(dropped, 7);
    play.result().await?;
    Ok(())
}
