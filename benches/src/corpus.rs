//! Latencies of a neighbour while another client plays the scripts of `tests/hostile`, one after the other.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use client_ws::CircleWsClient;
use futures_util::{SinkExt, StreamExt};
use keys::KeyPair;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    BoxError, WsConnection,
    circle::CircleProcess,
    connect,
    latencies::{Latencies, print_ratios},
};

/// Time limit of endless scripts, in milliseconds.
const ENDLESS_MS: u64 = 200;

/// The id of the single request of each connection.
const ID: u64 = 1;

/// Prints the latencies of the neighbour's plays during every `step`th script, relative to those of `quiet_plays` plays
/// before.
pub(crate) async fn compare(step: usize, quiet_plays: usize) -> Result<(), BoxError> {
    let circle = CircleProcess::start()?;
    let neighbour =
        CircleWsClient::builder(format!("ws://{}", circle.authority)).keypair(KeyPair::generate()?).build()?;
    neighbour.connect().await?;
    // With a key, the neighbour is a separate caller; the client of the scripts is an anonymous one.
    neighbour.authenticate().await?;
    neighbour.play("let mine = 7;").await?;
    let mut quiet = Vec::new();
    for _ in 0..quiet_plays {
        quiet.push(play(&neighbour).await?);
    }
    let mut disturbed = Vec::new();
    for script in scripts(step)? {
        let mut client = connect(&circle.authority).await?;
        let is_endless = script.lines().next().is_some_and(|expected| expected.contains(" time"));
        let timeout_ms = is_endless.then_some(ENDLESS_MS);
        let params = json!({ "script": script, "timeout_ms": timeout_ms });
        let request = json!({ "jsonrpc": "2.0", "id": ID, "method": "play", "params": params });
        client.send(Message::text(request.to_string())).await?;
        let answer = tokio::spawn(async move { receive_response(client).await.map_err(|error| error.to_string()) });
        // At least one play, so that short scripts count too.
        disturbed.push(play(&neighbour).await?);
        while !answer.is_finished() {
            disturbed.push(play(&neighbour).await?);
        }
        answer.await??;
    }
    let name = "a neighbour's play";
    print_ratios("disturbed", &[Latencies::new(name, quiet)], &[Latencies::new(name, disturbed)]);
    Ok(())
}

/// Measures a play of the neighbour.
async fn play(neighbour: &CircleWsClient) -> Result<Duration, BoxError> {
    let start = Instant::now();
    let result = neighbour.play("mine").await?;
    let latency = start.elapsed();
    if result.output == "7" { Ok(latency) } else { Err(format!("mine is {}", result.output).into()) }
}

/// Waits for the response, usually an error.
async fn receive_response(mut client: WsConnection) -> Result<(), BoxError> {
    loop {
        let message = client.next().await.ok_or("the connection ended")??;
        if message.is_text() && serde_json::from_str::<Value>(message.to_text()?)?["id"] == ID {
            return Ok(());
        }
    }
}

/// Every `step`th script, sorted by name.
fn scripts(step: usize) -> Result<Vec<String>, BoxError> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/hostile");
    let mut files = directory.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, BoxError>>()?;
    files.sort();
    files.into_iter().step_by(step).map(|file| Ok(std::fs::read_to_string(file)?)).collect()
}
