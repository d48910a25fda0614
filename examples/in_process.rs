//! Plays a script in a circle of this process, as a key, without a connection.
//!
//! `cargo run --release -p circles-examples --bin in_process -- 'print("hi"); shop::price("tea") * 2'`

use server_ws::{Access, Circle, KeyPair, PlayCaller, host};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

fn shop() -> host::Module {
    host::Module::new("shop").function(
        "price",
        ["item"],
        "Returns the price of an item, for callers with a key.",
        |call: host::Call, (item,): (String,)| async move {
            call.caller().ok_or("authenticate with a key first")?;
            if item == "tea" { Ok(21) } else { Err(format!("there is no {item}").into()) }
        },
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    worker::run_if_worker();
    let script = std::env::args().nth(1).ok_or("usage: in_process SCRIPT")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let circle = Circle::builder("shop").access(Access::Authenticated).host_module(shop()).build()?;
        let circle = server_ws::start(circle).await?;
        let session = circle.session(PlayCaller::Key(KeyPair::generate()?.public_key()))?;
        let played = session.play(script).await?;
        played.prints.iter().for_each(|text| println!("{text}"));
        println!("{}", played.result.output);
        circle.drain().await;
        Ok(())
    })
}
