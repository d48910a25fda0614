//! A play's round trip beside a WebSocket echo on the same stack, both in this process.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use actix::{Actor, StreamHandler};
use actix_web::{App, HttpRequest, HttpServer, Responder, web};
use actix_web_actors::ws;
use futures_util::{SinkExt, StreamExt};
use server_ws::Circle;
use tokio_tungstenite::tungstenite::Message;

use crate::{Client, Error, connect};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"play","params":["40 + 2"]}"#;

/// How often each measurement is repeated, in turn with its peer.
const REPEATS: usize = 5;

/// Messages on their way at once, in the pipelined measurement.
const DEPTH: u32 = 32;

struct Echo;

impl Actor for Echo {
    type Context = ws::WebsocketContext<Self>;
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Echo {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, context: &mut Self::Context) {
        if let Ok(ws::Message::Text(text)) = message {
            context.text(text);
        }
    }
}

async fn echo(request: HttpRequest, payload: web::Payload) -> impl Responder {
    ws::start(Echo, &request, payload)
}

/// Prints how the two compare, from so many round trips a measurement.
pub(crate) async fn compare(count: u32) -> Result<(), Error> {
    let (circle_at, echo_at) = (listener()?, listener()?);
    let (circle, peer) = (circle_at.local_addr()?.to_string(), echo_at.local_addr()?.to_string());
    let builder = Circle::builder("bench").build()?;
    tokio::spawn(server_ws::run(circle_at, builder, std::future::pending()));
    let server = HttpServer::new(|| App::new().route("/", web::get().to(echo)))
        .workers(2)
        .tcp_nodelay(true)
        .disable_signals()
        .listen(echo_at)?
        .run();
    tokio::spawn(server);

    println!("{:34} {:>12} {:>12} {:>8}", "", "play", "echo", "ratio");
    let (mut circle_client, mut echo_client) = (connect(&circle).await?, connect(&peer).await?);
    for depth in [1, DEPTH] {
        let (mut plays, mut echoes) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            plays.push(round_trips(&mut circle_client, count, depth).await?);
            echoes.push(round_trips(&mut echo_client, count, depth).await?);
        }
        report(&format!("µs a round trip, {depth} on the way"), &mut plays, &mut echoes);
    }
    let (mut firsts, mut echoes) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        firsts.push(first_answer(&circle).await?);
        echoes.push(first_answer(&peer).await?);
    }
    report("µs from connecting to an answer", &mut firsts, &mut echoes);
    Ok(())
}

fn listener() -> std::io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0")
}

/// The mean time of one, with that many on their way.
async fn round_trips(client: &mut Client, count: u32, depth: u32) -> Result<Duration, Error> {
    let begun = Instant::now();
    for _ in 0..count / depth {
        for number in 0..depth {
            // An id of its own for each: a circle refuses one that it has not answered.
            let call = CALL.replace("\"id\":1", &format!("\"id\":{}", 10 + number));
            client.feed(Message::text(call)).await?;
        }
        client.flush().await?;
        for _ in 0..depth {
            answer(client).await?;
        }
    }
    Ok(begun.elapsed() / (count / depth * depth))
}

async fn answer(client: &mut Client) -> Result<(), Error> {
    let message = client.next().await.ok_or("the connection ended")??;
    let text = message.to_text()?;
    if text == CALL || text.contains("\"method\"") || text.contains("\"value\":42") {
        return Ok(());
    }
    Err(format!("not an answer: {text}").into())
}

/// A connection, and its first answer: of a circle, from a worker that had to be started for it.
async fn first_answer(authority: &str) -> Result<Duration, Error> {
    let begun = Instant::now();
    let mut client = connect(authority).await?;
    client.send(Message::text(CALL)).await?;
    answer(&mut client).await?;
    Ok(begun.elapsed())
}

fn report(what: &str, plays: &mut [Duration], echoes: &mut [Duration]) {
    let median = |figures: &mut [Duration]| {
        figures.sort();
        figures[figures.len() / 2].as_secs_f64() * 1e6
    };
    let (play, echo) = (median(plays), median(echoes));
    println!("{what:34} {play:12.1} {echo:12.1} {:8.2}", play / echo);
}
