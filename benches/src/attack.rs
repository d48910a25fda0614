//! What an honest client notices of eight that mean harm, all on one circle.

use std::{sync::Arc, time::Instant};

use client_ws::CircleWsClient;
use futures_util::{SinkExt, StreamExt};
use keys::KeyPair;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    BoxError,
    circle::CircleProcess,
    connect,
    latencies::{Latencies, print_ratios},
};

/// What each of the eight plays, again as soon as it has ended.
fn scripts() -> [(&'static str, String); 8] {
    let declarations: Vec<_> = (0..12_000).map(|number| format!("let v{number}=[{number}];")).collect();
    [
        ("an endless loop", "loop {}".into()),
        ("one inside of a native function", "[1].map(|x| { loop {} })".into()),
        ("memory, up to its limit", "let a = []; loop { let s = \"\"; s.pad(100000, \"x\"); a.push(s); }".into()),
        (PRINTS, "loop { print(\"and on and on and on\"); }".into()),
        (
            "sorting",
            "let a = []; for i in 0..3000 { a.push(i * 7919 % 3001); } loop { a.sort(|x, y| x - y); a.reverse(); }"
                .into(),
        ),
        ("what takes long to parse", declarations.concat()),
        (
            "a worker's end",
            "let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b)".into(),
        ),
        (RESETS, "let a = []; a.pad(100000, 1);".into()),
    ]
}

/// Its client never reads.
const PRINTS: &str = "prints without end";

/// A fresh worker each time.
const RESETS: &str = "resets";

/// Prints what plays, questions and cancels of the honest client take, alone and beside the others, from so many plays.
pub(crate) async fn measure_attacks(plays: usize) -> Result<(), BoxError> {
    let circle = CircleProcess::start()?;
    let url = format!("ws://{}", circle.authority);
    let honest = CircleWsClient::builder(url).keypair(KeyPair::generate()?).build()?;
    honest.connect().await?;
    // A caller of its own, beside the address that all the others have.
    honest.authenticate().await?;
    measure(&honest, plays.min(50)).await?;
    let quiet = measure(&honest, plays).await?;

    let mut attackers = JoinSet::new();
    for (name, script) in scripts() {
        let authority = Arc::new(circle.authority.clone());
        attackers
            .spawn(async move { attack(&authority, name, script).await.map_err(|error| format!("{name}: {error}")) });
    }
    measure(&honest, plays.min(50)).await?;
    let attacked = measure(&honest, plays).await?;
    if let Some(ended) = attackers.try_join_next() {
        ended??;
    }

    print_ratios("attacked", &quiet, &attacked);
    Ok(())
}

async fn measure(honest: &CircleWsClient, plays: usize) -> Result<[Latencies; 3], BoxError> {
    let [mut played, mut described, mut cancelled] = [Vec::new(), Vec::new(), Vec::new()];
    for number in 0..plays {
        let start = Instant::now();
        let result = honest.play("40 + 2").await?;
        played.push(start.elapsed());
        if result.output != "42" {
            return Err(format!("40 + 2 is {}", result.output).into());
        }
        if number % 4 == 0 {
            let start = Instant::now();
            honest.describe().await?;
            described.push(start.elapsed());
        }
        if number % 10 == 0 {
            let mut endless = honest.play("print(1); loop {}").start().await?;
            // It runs.
            endless.next().await;
            let start = Instant::now();
            endless.cancel().await?;
            // Its one outcome is an error that says so.
            drop(endless.result().await);
            cancelled.push(start.elapsed());
        }
    }
    Ok([("a play", played), ("describe", described), ("cancel to its play's end", cancelled)]
        .map(|(call, latencies)| Latencies::new(call, latencies)))
}

/// Does harm until it is dropped.
async fn attack(authority: &str, name: &str, script: String) -> Result<(), BoxError> {
    let mut client = connect(authority).await?;
    let call = |method: &str, params: serde_json::Value| {
        Message::text(serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string())
    };
    loop {
        client.send(call("play", serde_json::json!([script]))).await?;
        if name == PRINTS {
            std::future::pending::<()>().await;
        }
        receive_response(&mut client).await?;
        if name == RESETS {
            client.send(call("reset", serde_json::json!([]))).await?;
            receive_response(&mut client).await?;
        }
    }
}

/// Whatever it is: an error, most often.
async fn receive_response(client: &mut crate::WsConnection) -> Result<(), BoxError> {
    loop {
        let message = client.next().await.ok_or("the connection ended")??;
        if message.is_text() && !message.to_text()?.contains("\"method\"") {
            return Ok(());
        }
    }
}
