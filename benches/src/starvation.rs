//! What a caller notices of another one who has 64 or 250 connections and means harm: rows of a table, each beside a quiet run
//! of the same minute. The attacker is a process of its own, and shares the machine with the circle.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use client_ws::CircleWsClient;
use futures_util::{SinkExt, StreamExt};
use keys::KeyPair;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};
use tokio_tungstenite::tungstenite::Message;

use crate::{Client, Error, circle, connect, latencies::percentile_ms};

/// The argument that asks for this table, and the one before another program than this circle's.
pub(crate) const FLAG: &str = "--starvation";
const PROGRAM: &str = "--program";

/// The argument that makes this program the attacker.
pub(crate) const ATTACK_FLAG: &str = "--attack";

/// How often the neighbour plays, and how often there is a new session.
const PLAY_INTERVAL: Duration = Duration::from_millis(5);
const SESSION_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
struct Times {
    quiet: Duration,
    warm_up: Duration,
    attacked: Duration,
}

/// What each connection of the attacker does again and again.
struct Attack {
    name: &'static str,
    calls: fn() -> Vec<(&'static str, Value)>,
    pause: Duration,
}

const ATTACKS: [Attack; 9] = [
    attack("loop{}", || vec![("play", json!(["loop {}"]))], 0),
    attack("loop{print(\"\")}, 2 plays/s", || vec![("play", json!(["loop { print(\"\") }"]))], 500),
    attack("loop{print(\"\")}", || vec![("play", json!(["loop { print(\"\") }"]))], 0),
    attack(
        "4 ms of work and reset, 20/s",
        || vec![("play", json!(["for i in 0..40000 {}"])), ("reset", json!([]))],
        50,
    ),
    attack("1 and reset", || vec![("play", json!(["1"])), ("reset", json!([]))], 0),
    attack("complete of 240 KiB, 2/s", || vec![("complete", large_complete())], 500),
    attack("complete of nothing", || vec![("complete", json!(["", 0]))], 0),
    attack("describe", || vec![("describe", json!([]))], 0),
    attack("crash", || vec![("play", json!([CRASH]))], 0),
];

/// It would have more memory in one operation than a worker may have.
const CRASH: &str = "let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b)";

const fn attack(name: &'static str, calls: fn() -> Vec<(&'static str, Value)>, pause_ms: u64) -> Attack {
    Attack { name, calls, pause: Duration::from_millis(pause_ms) }
}

fn large_complete() -> Value {
    let script = "let a = [1, 2, #{ b: `c` }]; ".repeat(8000);
    json!([script, script.len()])
}

/// Prints the table, of this program's circle or of that of another program (`--program FILE`, a `circles`).
pub(crate) async fn compare(is_quick: bool) -> Result<(), Error> {
    let ms = Duration::from_millis;
    let times = if is_quick {
        Times { quiet: ms(50), warm_up: ms(10), attacked: ms(50) }
    } else {
        Times { quiet: ms(2000), warm_up: ms(1500), attacked: ms(5000) }
    };
    let program = std::env::args().skip_while(|argument| argument != PROGRAM).nth(1);
    println!("\n| attack by one caller | neighbour p50 / p99, quiet → attacked (ms) | new session p50 / p99 (ms) |");
    println!("| --- | --- | --- |");
    let (attacks, sizes): (&[Attack], &[usize]) = if is_quick { (&ATTACKS[..1], &[2]) } else { (&ATTACKS, &[64, 250]) };
    for connections in sizes {
        for (index, attack) in attacks.iter().enumerate() {
            let circle = Started::circle(program.as_deref())?;
            let quiet = measure(&circle.authority, times.quiet).await?;
            let attacker = Started::attacker(index, *connections, &circle.authority)?;
            sleep(times.warm_up).await;
            let attacked = measure(&circle.authority, times.attacked).await?;
            drop(attacker);
            let pair = |of: fn(&Measured) -> &[Duration]| {
                let at = |measured| (percentile_ms(of(measured), 50), percentile_ms(of(measured), 99));
                let ((quiet_p50, quiet_p99), (p50, p99)) = (at(&quiet), at(&attacked));
                format!("{quiet_p50:.1} / {quiet_p99:.1} → {p50:.1} / {p99:.1}")
            };
            let (plays, sessions) = (pair(|measured| &measured.plays), pair(|measured| &measured.sessions));
            println!("| {connections} × {} | {plays} | {sessions} |", attack.name);
        }
    }
    Ok(())
}

struct Measured {
    plays: Vec<Duration>,
    sessions: Vec<Duration>,
}

/// Measures callers with keys of their own: plays of one session, and beside it new sessions to their first value.
async fn measure(authority: &str, time: Duration) -> Result<Measured, Error> {
    let session = async || -> Result<CircleWsClient, Error> {
        let keypair = KeyPair::generate()?;
        let client = CircleWsClient::builder(format!("ws://{authority}")).keypair(keypair).build()?;
        client.connect().await?;
        client.authenticate().await?;
        client.play("1").await?;
        Ok(client)
    };
    let neighbour = session().await?;
    let end = Instant::now() + time;
    let plays = async {
        let mut taken = Vec::new();
        while Instant::now() < end {
            let begun = Instant::now();
            neighbour.play("1").await?;
            taken.push(begun.elapsed());
            sleep(PLAY_INTERVAL).await;
        }
        Ok::<_, Error>(taken)
    };
    let sessions = async {
        let mut taken = Vec::new();
        while Instant::now() < end {
            let begun = Instant::now();
            drop(session().await?);
            taken.push(begun.elapsed());
            sleep(SESSION_INTERVAL).await;
        }
        Ok::<_, Error>(taken)
    };
    let (mut plays, mut sessions) = tokio::try_join!(plays, sessions)?;
    plays.sort();
    sessions.sort();
    Ok(Measured { plays, sessions })
}

/// A process that ends when this is dropped.
struct Started {
    child: Child,
    authority: String,
}

impl Started {
    fn circle(program: Option<&str>) -> Result<Self, Error> {
        let mut command = Command::new(program.map_or_else(std::env::current_exe, |program| Ok(program.into()))?);
        match program {
            Some(_) => command.args(["serve", "--port", "0", "--name", "bench"]),
            None => command.args([circle::FLAG, circle::DEFAULTS]),
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("it is piped")?).read_line(&mut line)?;
        let authority = line.trim().rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Self { child, authority })
    }

    fn attacker(attack: usize, connections: usize, authority: &str) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([ATTACK_FLAG, &attack.to_string(), &connections.to_string(), authority]);
        let child = command.stdin(Stdio::piped()).spawn()?;
        Ok(Self { child, authority: authority.into() })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Also one that drains: nothing of it is of interest any more.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Attacks until standard input ends, with the arguments behind [`ATTACK_FLAG`].
pub(crate) async fn attack_from_arguments() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip_while(|argument| argument != ATTACK_FLAG).skip(1).collect();
    let [attack, connections, authority] = &arguments[..] else { return Err("an attack, a number, an address".into()) };
    let attack: &'static Attack = ATTACKS.get(attack.parse::<usize>()?).ok_or("no such attack")?;
    let mut attackers = JoinSet::new();
    for _ in 0..connections.parse::<usize>()? {
        let authority = authority.clone();
        attackers.spawn(async move {
            // A connection that the circle refuses, or ends, is made again.
            loop {
                let connected = connect(&authority).await.ok();
                if let Some(client) = connected {
                    let _ended = attack_on(client, attack).await;
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
    }
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

async fn attack_on(mut client: Client, attack: &Attack) -> Result<(), Error> {
    let calls = (attack.calls)();
    let texts = calls
        .iter()
        .map(|(method, params)| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string());
    let texts: Vec<String> = texts.collect();
    loop {
        for text in &texts {
            client.send(Message::text(text.clone())).await?;
            loop {
                let message = client.next().await.ok_or("the connection ended")??;
                if message.is_text() && !message.to_text()?.contains("\"method\"") {
                    break;
                }
            }
        }
        sleep(attack.pause).await;
    }
}
