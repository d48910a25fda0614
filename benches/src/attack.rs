//! Latencies of an honest client beside eight attackers on the same circle.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use client_ws::CircleWsClient;
use futures_util::{SinkExt, StreamExt};
use keys::KeyPair;
use tokio::{runtime::Handle, task::JoinSet};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    BoxError,
    circle::CircleProcess,
    connect,
    latencies::{Latencies, print_ratios},
    login,
};

/// Number of attackers.
pub(crate) const COUNT: usize = 8;

/// The scripts of the attackers, each played again as soon as it has ended.
fn scripts() -> [(&'static str, String); COUNT] {
    let declarations: Vec<_> = (0..12_000).map(|number| format!("let v{number}=[{number}];")).collect();
    [
        ("an endless loop", "loop {}".into()),
        ("an endless loop in a native function", "[1].map(|x| { loop {} })".into()),
        ("memory up to the limit", "let a = []; loop { let s = \"\"; s.pad(100000, \"x\"); a.push(s); }".into()),
        (PRINTS, "loop { print(\"and on and on and on\"); }".into()),
        (
            "sorting",
            "let a = []; for i in 0..3000 { a.push(i * 7919 % 3001); } loop { a.sort(|x, y| x - y); a.reverse(); }"
                .into(),
        ),
        ("a script that is slow to parse", declarations.concat()),
        (
            "a crash of the worker",
            "let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b)".into(),
        ),
        (RESETS, "let a = []; a.pad(100000, 1);".into()),
    ]
}

/// How long the attackers run before a measurement, so that all of them are at work.
pub(crate) const WARM_UP: Duration = Duration::from_millis(1500);

/// The attacker whose client never reads.
const PRINTS: &str = "prints without end";

/// The attacker that requests a fresh worker after each play.
const RESETS: &str = "resets";

/// Prints the latencies of plays, queries and cancellations of the honest client, without and with the attackers.
pub(crate) async fn measure_attacks(plays: usize, warm_up: Duration) -> Result<(), BoxError> {
    let circle = CircleProcess::start()?;
    let (quiet, attacked) = measure_beside(&circle.authority, plays, warm_up).await?;
    print_ratios("attacked", &quiet, &attacked);
    Ok(())
}

/// Measures the plays, queries and cancellations of an honest client, without and with the attackers.
pub(crate) async fn measure_beside(
    authority: &str,
    plays: usize,
    warm_up: Duration,
) -> Result<([Latencies; 3], [Latencies; 3]), BoxError> {
    let url = format!("ws://{authority}");
    let honest = CircleWsClient::builder(url).keypair(KeyPair::generate()?).build()?;
    honest.connect().await?;
    // With a key, the client is a separate caller; all attackers are one anonymous caller.
    honest.authenticate().await?;
    measure(&honest, plays.min(50)).await?;
    let quiet = measure(&honest, plays).await?;

    let mut attackers = Attackers::start(authority, &[], &Handle::current());
    tokio::time::sleep(warm_up).await;
    let attacked = measure(&honest, plays).await?;
    attackers.check()?;
    Ok((quiet, attacked))
}

/// The eight attackers, which attack until this is dropped.
pub(crate) struct Attackers(JoinSet<Result<(), String>>);

impl Attackers {
    /// Starts the attackers, each with a key of its own; without keys, all are one anonymous caller.
    pub(crate) fn start(authority: &str, keys: &[Arc<KeyPair>], runtime: &Handle) -> Self {
        let mut attackers = JoinSet::new();
        for (index, (name, script)) in scripts().into_iter().enumerate() {
            let (authority, key) = (authority.to_owned(), keys.get(index).cloned());
            let attack = async move {
                let attacked = attack(&authority, key.as_deref(), name, script).await;
                attacked.map_err(|error| format!("{name}: {error}"))
            };
            attackers.spawn_on(attack, runtime);
        }
        Self(attackers)
    }

    /// Fails if an attacker has ended.
    pub(crate) fn check(&mut self) -> Result<(), BoxError> {
        if let Some(ended) = self.0.try_join_next() {
            ended??;
        }
        Ok(())
    }
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
            // Wait until the play runs.
            endless.next().await;
            let start = Instant::now();
            endless.cancel().await?;
            // The result is always the error of the cancellation.
            drop(endless.result().await);
            cancelled.push(start.elapsed());
        }
    }
    Ok([("a play", played), ("describe", described), ("cancel to its play's end", cancelled)]
        .map(|(call, latencies)| Latencies::new(call, latencies)))
}

/// Attacks until the future is dropped.
async fn attack(authority: &str, key: Option<&KeyPair>, name: &str, script: String) -> Result<(), BoxError> {
    let mut client = connect(authority).await?;
    if let Some(key) = key {
        login::authenticate(&mut client, key).await?;
    }
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

/// Waits for the response, usually an error.
async fn receive_response(client: &mut crate::WsConnection) -> Result<(), BoxError> {
    loop {
        let message = client.next().await.ok_or("the connection ended")??;
        if message.is_text() && !message.to_text()?.contains("\"method\"") {
            return Ok(());
        }
    }
}
