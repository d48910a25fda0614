//! Benchmarks of a circle: its cost and its isolation of callers, as ratios from one run on one machine.
//!
//! `benches/run` builds this program, and has it compare `circles` with its peers (`--compare`); `benches/README.md`
//! describes the options.
//!
//! `--nats` measures workers on other machines.
//!
//! Without an option, this program prints figures of a circle in its own process. `--quick` only checks that all
//! benchmarks work. `--starvation` prints only the table of `benches/STARVATION.md`; with `--program FILE` for the circle
//! of another `circles` executable, and with `--only PART` only the rows whose names contain PART.

mod attack;
mod circle;
mod compare;
mod corpus;
mod echo;
mod latencies;
mod load;
mod login;
mod memory;
mod process_tree;
mod round_trips;
mod starvation;

use std::time::Duration;

use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

type BoxError = Box<dyn std::error::Error>;
type WsConnection = WebSocketStream<TcpStream>;

fn main() -> Result<(), BoxError> {
    worker::run_if_worker();
    let has_flag = |flag: &str| std::env::args().any(|argument| argument == flag);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if has_flag(circle::FLAG) {
        return runtime.block_on(circle::serve());
    }
    if has_flag(echo::FLAG) {
        return runtime.block_on(echo::serve());
    }
    if has_flag(starvation::ATTACK_FLAG) {
        return runtime.block_on(starvation::attack_from_arguments());
    }
    if has_flag(compare::nats::RESPONDER_FLAG) {
        return compare::nats::respond();
    }
    let is_quick = has_flag("--quick");
    if has_flag(compare::nats::FLAG) {
        return compare::nats::run();
    }
    if has_flag(compare::FLAG) {
        return compare::run(runtime.handle());
    }
    if has_flag(starvation::FLAG) {
        return runtime.block_on(starvation::compare(is_quick));
    }
    runtime.block_on(async {
        round_trips::compare(if is_quick { 64 } else { 5_000 }).await?;
        let (plays, warm_up) = if is_quick { (20, Duration::from_millis(10)) } else { (3_000, attack::WARM_UP) };
        attack::measure_attacks(plays, warm_up).await?;
        let (step, quiet_plays) = if is_quick { (20, 20) } else { (1, 1_000) };
        corpus::compare(step, quiet_plays).await?;
        if is_quick {
            starvation::compare(is_quick).await?;
        }
        if is_quick { memory::report(10, 2).await } else { memory::report(500, 50).await }
    })
}

async fn connect(authority: &str) -> Result<WsConnection, BoxError> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    Ok(client_async(format!("ws://{authority}/"), stream).await?.0)
}
