//! A JSON-RPC server as one would write it with jsonrpsee: it evaluates each script with Rhai on a thread for blocking
//! calls, and isolates nothing. It prints its address, and ends with standard input.

use jsonrpsee::{
    RpcModule,
    server::{Server, ServerConfig},
    types::{ErrorObjectOwned, Params},
};
use rhai::{Dynamic, Engine};
use tokio::io::AsyncReadExt;

type BoxError = Box<dyn std::error::Error>;

/// As many as the benchmark opens; the default is 100.
const MAX_CONNECTIONS: u32 = 10_100;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let config = ServerConfig::builder().max_connections(MAX_CONNECTIONS).build();
    let server = Server::builder().set_config(config).build("127.0.0.1:0").await?;
    println!("{}", server.local_addr()?);
    let mut module = RpcModule::new(Engine::new());
    // jsonrpsee runs such a method in `spawn_blocking`.
    module.register_blocking_method("play", |params, engine, _| play(&params, &engine))?;
    let handle = server.start(module);
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    handle.stop()?;
    Ok(())
}

/// Returns the integer that the script of the parameters evaluates to.
fn play(params: &Params<'_>, engine: &Engine) -> Result<i64, ErrorObjectOwned> {
    let script: String = params.sequence().next()?;
    let value = engine.eval::<Dynamic>(&script).map_err(|error| error.to_string());
    let value = value.and_then(|value| value.as_int().map_err(|name| format!("the value is of type {name}")));
    value.map_err(|error| ErrorObjectOwned::owned(-32000, error, None::<()>))
}
