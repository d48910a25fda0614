//! Scratch circles: temporary circles inside this process, on loopback, that admit only a key made for them.

use std::net::{Ipv4Addr, TcpListener};

use keys::KeyPair;
use server_ws::{Access, Circle, Workers};
use tokio::runtime::Handle;

use crate::error::CliError;

pub use crate::circle_target::SCRATCH as NAME;

/// Starts a scratch circle, and returns its URL and its key. The circle ends with the runtime.
pub fn start(runtime: &Handle, workers: Workers) -> Result<(String, KeyPair), CliError> {
    let cannot = |why: String| CliError::usage("cannot start a scratch circle", why, "name a circle: --circle WHERE");
    let keypair = KeyPair::generate().map_err(|error| cannot(error.to_string()))?;
    let circle = Circle::builder(NAME)
        .description("a scratch circle")
        .access(Access::Members)
        .members([keypair.public_key()])
        // Nobody else has the key.
        .console(false)
        .workers(workers)
        .build()
        .map_err(|error| cannot(error.to_string()))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| cannot(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| cannot(error.to_string()))?;
    runtime.spawn(async move {
        if let Err(error) = server_ws::run(listener, circle, std::future::pending()).await {
            tracing::error!(%error, "scratch circle ended");
        }
    });
    Ok((format!("ws://{address}"), keypair))
}
