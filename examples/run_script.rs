//! Runs an untrusted script in a sandboxed worker process, without a server.
//!
//! `cargo run --release -p circles-examples --bin run_script -- 'print(item); count * shop::price(item)'`

use std::time::Duration;

use worker::{HostError, Pool};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

async fn price((item,): (String,)) -> Result<f64, HostError> {
    if item == "tea" { Ok(2.5) } else { Err(format!("there is no {item}").into()) }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    worker::run_if_worker();
    let script = std::env::args().nth(1).ok_or("usage: run_script SCRIPT")?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let pool = Pool::builder().function("shop::price", ["item"], price).start().await?;
        let mut session = pool.checkout().await?;
        let run = session.run(&script).input("item", "tea").input("count", 3).timeout(Duration::from_secs(1));
        let value = run.on_print(|print| println!("{}", print.text)).await;
        let value: serde_json::Value = value.map_err(|error| error.to_string())?;
        println!("{value}");
        Ok(())
    })
}
