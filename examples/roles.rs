//! A circle with functions of the program, and roles that say who may call them.
//!
//! `cargo run --release -p circles-examples --bin roles -- order.place '{ "item": "tea", "count": 2 }'`

use serde_json::{Value, json};
use server_ws::{AccessDefinition, Circle, PlayCaller, host};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

async fn price(_: host::Call, (item,): (String,)) -> host::Result<f64> {
    if item == "tea" { Ok(2.5) } else { Err(host::Error::new(format!("there is no {item}")).with_code("unknown_item")) }
}

async fn place(call: host::Call, (item, count): (String, Option<u32>)) -> host::Result<Value> {
    let key = call.caller().map(ToString::to_string);
    Ok(json!({ "item": item, "count": count.unwrap_or(1), "customer": key }))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    worker::run_if_worker();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, params] = arguments.as_slice() else { return Err("usage: roles NAME JSON".into()) };
    let params: Value = serde_json::from_str(params)?;
    let roles: AccessDefinition<String> = serde_json::from_value(json!({
        "roles": { "visitor": { "call": ["price"] }, "customer": { "extends": "visitor", "call": ["order.*"] } },
        "anyone": "visitor",
        "authenticated": "customer",
    }))?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let circle = Circle::builder("shop")
            .roles(roles.try_map_keys(|_, _, key| key.parse::<keys::PublicKey>())?)
            .function("price", ["item"], "The price of an item.", price)
            .function("order.place", ["item", "count"], "Orders some of an item.", place)
            .build()?;
        let circle = server_ws::start(circle).await?;
        let session = circle.session(PlayCaller::Anonymous([127, 0, 0, 1].into()))?;
        println!("as anyone: {:?}", session.call::<Value>(name, &params).await.map_err(|error| error.to_string()));
        let session = circle.session(PlayCaller::Key(keys::KeyPair::generate()?.public_key()))?;
        println!("with a key: {:?}", session.call::<Value>(name, &params).await.map_err(|error| error.to_string()));
        circle.drain().await;
        Ok(())
    })
}
