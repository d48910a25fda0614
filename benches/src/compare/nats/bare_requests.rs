//! Requests to a responder through NATS, with nothing else: what a message each way costs.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use async_nats::Client;
use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};

use crate::{BoxError, load::Histogram};

/// The argument that runs this program as a responder, with the URL of a NATS server.
pub(crate) const RESPONDER_FLAG: &str = "--nats-responder";

const SUBJECT: &str = "bench.request";

/// About as many bytes as a short play has on its way.
const PAYLOAD: &[u8] = &[b'x'; 128];

/// Answers each request with its payload until the connection ends.
pub(crate) fn respond() -> Result<(), BoxError> {
    let url = std::env::args().skip_while(|argument| argument != RESPONDER_FLAG).nth(1).ok_or("the URL is missing")?;
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client = async_nats::connect(url).await?;
        let mut requests = client.subscribe(SUBJECT).await?;
        client.flush().await?;
        println!("ready");
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                client.publish(reply, request.payload).await?;
            }
        }
        Ok(())
    })
}

/// A responder in a process of its own, and a client in this one.
pub(super) struct BareRequests {
    runtime: Runtime,
    client: Client,
    responder: Child,
}

impl BareRequests {
    /// Starts a responder at a NATS server. The client connects to `address`, that of the server or of a proxy.
    pub(super) fn start(server: SocketAddr, address: SocketAddr) -> Result<Self, BoxError> {
        let mut responder = Command::new(std::env::current_exe()?)
            .args([RESPONDER_FLAG, &format!("nats://{server}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(responder.stdout.take().ok_or("it is piped")?).read_line(&mut line)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(async_nats::connect(format!("nats://{address}")))?;
        Ok(Self { runtime, client, responder })
    }

    /// Sends one request after the other. Returns the median and the 99th percentile of their times in seconds.
    pub(super) fn measure(&self, warm_up: Duration, time: Duration) -> Result<[f64; 2], BoxError> {
        self.runtime.block_on(async {
            let mut latencies = Histogram::new();
            for (time, counts) in [(warm_up, false), (time, true)] {
                let end = Instant::now() + time;
                while Instant::now() < end {
                    let begun = Instant::now();
                    self.client.request(SUBJECT, PAYLOAD.into()).await?;
                    if counts {
                        latencies.record(begun.elapsed());
                    }
                }
            }
            Ok([50, 99].map(|percent| latencies.percentile(percent).as_secs_f64()))
        })
    }
}

impl Drop for BareRequests {
    fn drop(&mut self) {
        let _ended = self.responder.kill();
        let _status = self.responder.wait();
    }
}
