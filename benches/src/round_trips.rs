//! Round trips of plays, relative to a WebSocket echo on the same stack. Everything except worker processes runs in
//! this process.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use server_ws::{Circle, CircleBuilder, Workers, host};
use tokio_tungstenite::tungstenite::Message;

use crate::{BoxError, WsConnection, connect, echo};

/// Scripts whose value is 42.
const PLAY: &str = "40 + 2";
const HOST_CALL: &str = "bench::answer()";

/// Number of repetitions of each measurement, alternating with its peer.
const REPEATS: usize = 5;

/// Number of messages in flight in the pipelined measurement.
const DEPTH: u32 = 32;

/// Prints the comparison, with `count` round trips in each measurement.
pub(crate) async fn compare(count: u32) -> Result<(), BoxError> {
    let processes = start(Circle::builder("bench").host_module(answer_module()))?;
    let threads = start(Circle::builder("bench").host_module(answer_module()).workers(Workers::TrustedThreads))?;
    let echo_listener = listener()?;
    let echo = echo_listener.local_addr()?.to_string();
    tokio::spawn(echo::serve_on(echo_listener)?);

    println!("{:52} {:>12} {:>12} {:>8}", "", "play", "echo", "ratio");
    for (what, circle, script) in [
        ("a play in a process", &processes, PLAY),
        ("a play on threads", &threads, PLAY),
        ("a play with a host call, in a process", &processes, HOST_CALL),
        ("a play with a host call, on threads", &threads, HOST_CALL),
    ] {
        let (mut circle_client, mut echo_client) = (connect(circle).await?, connect(&echo).await?);
        for depth in [1, DEPTH] {
            let (mut plays, mut echoes) = (Vec::new(), Vec::new());
            for _ in 0..REPEATS {
                plays.push(round_trips(&mut circle_client, script, count, depth).await?);
                echoes.push(round_trips(&mut echo_client, script, count, depth).await?);
            }
            report(&format!("µs {what}, {depth} in flight"), &mut plays, &mut echoes);
        }
    }
    let (mut firsts, mut echoes) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        firsts.push(first_answer(&processes).await?);
        echoes.push(first_answer(&echo).await?);
    }
    report("µs from connecting to an answer", &mut firsts, &mut echoes);
    Ok(())
}

/// Serves a circle, and returns its authority.
fn start(circle: CircleBuilder) -> Result<String, BoxError> {
    let listener = listener()?;
    let authority = listener.local_addr()?.to_string();
    tokio::spawn(server_ws::run(listener, circle.build()?, std::future::pending()));
    Ok(authority)
}

/// Returns a host module whose function has the value of a short play.
pub(crate) fn answer_module() -> host::Module {
    host::Module::new("bench").function("answer", [], "42.", |_: host::Call, (): ()| async { Ok(42) })
}

/// Listens on a free port.
fn listener() -> std::io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0")
}

/// Measures the mean time of a round trip, with `depth` messages in flight.
async fn round_trips(client: &mut WsConnection, script: &str, count: u32, depth: u32) -> Result<Duration, BoxError> {
    let start = Instant::now();
    for _ in 0..count / depth {
        for number in 0..depth {
            // Each request needs a different id: a circle rejects the id of an unanswered request.
            client.feed(Message::text(call(10 + number, script))).await?;
        }
        client.flush().await?;
        for _ in 0..depth {
            receive_response(client).await?;
        }
    }
    Ok(start.elapsed() / (count / depth * depth))
}

fn call(id: u32, script: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"play","params":["{script}"]}}"#)
}

async fn receive_response(client: &mut WsConnection) -> Result<(), BoxError> {
    let message = client.next().await.ok_or("the connection ended")??;
    let text = message.to_text()?;
    if text.contains("\"method\"") || text.contains("\"value\":42") {
        return Ok(());
    }
    Err(format!("not an answer: {text}").into())
}

/// Measures the time from connecting to the first answer, which for a circle includes the start of a worker.
async fn first_answer(authority: &str) -> Result<Duration, BoxError> {
    let start = Instant::now();
    let mut client = connect(authority).await?;
    client.send(Message::text(call(1, PLAY))).await?;
    receive_response(&mut client).await?;
    Ok(start.elapsed())
}

fn report(what: &str, plays: &mut [Duration], echoes: &mut [Duration]) {
    let median = |figures: &mut [Duration]| {
        figures.sort();
        figures[figures.len() / 2].as_secs_f64() * 1e6
    };
    let (play, echo) = (median(plays), median(echoes));
    println!("{what:52} {play:12.1} {echo:12.1} {:8.2}", play / echo);
}
