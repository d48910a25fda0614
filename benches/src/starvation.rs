//! Latencies of a caller during attacks by another caller with 64 or 250 connections, as a table. Each row compares an
//! attack with a quiet run directly before it. The attacker is a separate process on the machine of the circle.

mod attacks;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use client_ws::CircleWsClient;
use futures_util::{SinkExt, StreamExt};
use keys::KeyPair;
use tokio::{task::JoinSet, time::sleep};
use tokio_tungstenite::tungstenite::Message;

use crate::{BoxError, WsConnection, circle, connect, latencies::percentile_ms};
use attacks::{ATTACKS, Attack};

/// The argument that prints this table.
pub(crate) const FLAG: &str = "--starvation";

/// The argument that names another `circles` executable.
const PROGRAM: &str = "--program";

/// The argument that selects rows by a part of their names.
const ONLY: &str = "--only";

/// The argument that runs this program as the attacker.
pub(crate) const ATTACK_FLAG: &str = "--attack";

/// Interval between plays of the neighbour.
const PLAY_INTERVAL: Duration = Duration::from_millis(5);

/// Interval between new sessions.
const SESSION_INTERVAL: Duration = Duration::from_millis(100);

/// Start of a circle's notifications, which distinguishes them from responses.
const NOTIFICATION: &str = r#"{"jsonrpc":"2.0","method""#;

#[derive(Debug, Clone, Copy)]
struct PhaseDurations {
    quiet: Duration,
    warm_up: Duration,
    attacked: Duration,
}

/// Prints the table for this program's circle, or for that of another executable (`--program FILE`).
pub(crate) async fn compare(is_quick: bool) -> Result<(), BoxError> {
    let ms = Duration::from_millis;
    let times = if is_quick {
        PhaseDurations { quiet: ms(50), warm_up: ms(10), attacked: ms(50) }
    } else {
        PhaseDurations { quiet: ms(2000), warm_up: ms(1500), attacked: ms(5000) }
    };
    let value = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let (program, only) = (value(PROGRAM), value(ONLY).unwrap_or_default());
    println!("\n| attack by one caller | neighbour p50 / p99, quiet → attacked (ms) | new session p50 / p99 (ms) |");
    println!("| --- | --- | --- |");
    let (attacks, sizes): (&[Attack], &[usize]) = if is_quick { (&ATTACKS[..1], &[2]) } else { (&ATTACKS, &[64, 250]) };
    for connections in sizes {
        for (index, attack) in attacks.iter().enumerate() {
            let row = format!("{connections} × {}", attack.name);
            if !row.contains(&only) {
                continue;
            }
            let circle = ChildProcess::circle(program.as_deref(), attack.is_anonymous)?;
            let quiet = measure(&circle.authority, times.quiet).await?;
            let attacker = ChildProcess::attacker(index, *connections, &circle.authority)?;
            sleep(times.warm_up).await;
            let attacked = measure(&circle.authority, times.attacked).await?;
            drop(attacker);
            let pair = |of: fn(&Measurement) -> &[Duration]| {
                let at = |measured| (percentile_ms(of(measured), 50), percentile_ms(of(measured), 99));
                let ((quiet_p50, quiet_p99), (p50, p99)) = (at(&quiet), at(&attacked));
                format!("{quiet_p50:.1} / {quiet_p99:.1} → {p50:.1} / {p99:.1}")
            };
            let (plays, sessions) = (pair(|measured| &measured.plays), pair(|measured| &measured.sessions));
            let failed = if attacked.failed == 0 { String::new() } else { format!(", {} failed", attacked.failed) };
            println!("| {row} | {plays} | {sessions}{failed} |");
        }
    }
    Ok(())
}

struct Measurement {
    plays: Vec<Duration>,
    sessions: Vec<Duration>,
    /// Number of new sessions that failed.
    failed: usize,
}

/// Measures callers with separate keys: the plays of one session, and at the same time new sessions up to their first
/// value.
async fn measure(authority: &str, time: Duration) -> Result<Measurement, BoxError> {
    let session = async || -> Result<CircleWsClient, BoxError> {
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
            let start = Instant::now();
            neighbour.play("1").await?;
            taken.push(start.elapsed());
            sleep(PLAY_INTERVAL).await;
        }
        Ok::<_, BoxError>(taken)
    };
    let sessions = async {
        let (mut taken, mut failed) = (Vec::new(), 0);
        while Instant::now() < end {
            let start = Instant::now();
            match session().await {
                Ok(_) => taken.push(start.elapsed()),
                Err(_) => failed += 1,
            }
            sleep(SESSION_INTERVAL).await;
        }
        Ok::<_, BoxError>((taken, failed))
    };
    let (mut plays, (mut sessions, failed)) = tokio::try_join!(plays, sessions)?;
    plays.sort();
    sessions.sort();
    Ok(Measurement { plays, sessions, failed })
}

/// A child process that is killed when this is dropped.
struct ChildProcess {
    child: Child,
    authority: String,
}

impl ChildProcess {
    fn circle(program: Option<&str>, needs_key: bool) -> Result<Self, BoxError> {
        let mut command = Command::new(program.map_or_else(std::env::current_exe, |program| Ok(program.into()))?);
        match program {
            Some(_) => command.args(["serve", "--port", "0", "--name", "bench"]),
            None => command.args([circle::FLAG, circle::DEFAULTS]),
        };
        match program {
            Some(_) if needs_key => command.args(["--access", "authenticated"]),
            None if needs_key => command.arg(circle::NEEDS_KEY),
            _ => &mut command,
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("it is piped")?).read_line(&mut line)?;
        let authority = line.trim().rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Self { child, authority })
    }

    fn attacker(attack: usize, connections: usize, authority: &str) -> Result<Self, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([ATTACK_FLAG, &attack.to_string(), &connections.to_string(), authority]);
        let child = command.stdin(Stdio::piped()).spawn()?;
        Ok(Self { child, authority: authority.into() })
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // Do not wait for a circle to drain.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Runs the attack of the arguments after [`ATTACK_FLAG`] until standard input ends.
pub(crate) async fn attack_from_arguments() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip_while(|argument| argument != ATTACK_FLAG).skip(1).collect();
    let [attack, connections, authority] = &arguments[..] else {
        return Err("expected an attack, a number of connections and an address".into());
    };
    let attack: &'static Attack = ATTACKS.get(attack.parse::<usize>()?).ok_or("no such attack")?;
    let mut attackers = JoinSet::new();
    for _ in 0..connections.parse::<usize>()? {
        let authority = authority.clone();
        attackers.spawn(async move {
            // Reconnect if the circle refuses or closes the connection.
            loop {
                let connected = connect(&authority).await.ok();
                if let Some(client) = connected {
                    let _ended = run_attack(client, attack).await;
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
    }
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

async fn run_attack(mut client: WsConnection, attack: &Attack) -> Result<(), BoxError> {
    let messages = (attack.messages)();
    loop {
        for text in &messages {
            client.send(Message::text(text.clone())).await?;
            loop {
                let message = client.next().await.ok_or("the connection ended")??;
                if message.is_text() && !message.to_text()?.starts_with(NOTIFICATION) {
                    break;
                }
            }
        }
        sleep(attack.pause).await;
    }
}
