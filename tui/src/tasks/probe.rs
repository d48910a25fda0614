//! Periodic probes of the address of a circle.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

use super::Tasks;
use crate::{
    circle_id::CircleId,
    event::{AppEvent, ProbeResult},
};

/// Interval of the probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// Timeout of one probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Guard that ends the probes on drop.
#[derive(Debug)]
pub(crate) struct ProbeGuard(#[expect(dead_code, reason = "dropping it ends the probes")] oneshot::Sender<()>);

impl Tasks {
    /// Posts the result of a probe whenever it changes.
    pub(crate) fn probe(&self, circle: CircleId, address: SocketAddr) -> ProbeGuard {
        let tasks = self.clone();
        let (stop, mut stopped) = oneshot::channel::<()>();
        self.spawn(async move {
            let mut known = None;
            let mut interval = tokio::time::interval(PROBE_INTERVAL);
            loop {
                tokio::select! {
                    _ = interval.tick() => {}
                    _ = &mut stopped => return,
                }
                let listening = probe_address(address).await;
                if known.replace(listening) != Some(listening) {
                    tasks.post(AppEvent::Probed(circle, listening)).await;
                }
            }
        });
        ProbeGuard(stop)
    }
}

/// Probes an address. A circle answers `GET /healthz`, also while it drains.
async fn probe_address(address: SocketAddr) -> ProbeResult {
    let asked = async {
        let Ok(mut socket) = TcpStream::connect(address).await else { return ProbeResult::Nothing };
        let mut answer = [0; 12];
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let answered = async {
            socket.write_all(request.as_bytes()).await?;
            socket.read_exact(&mut answer).await
        };
        match answered.await {
            Ok(_) if &answer == b"HTTP/1.1 200" => ProbeResult::Circle,
            Ok(_) if &answer == b"HTTP/1.1 503" => ProbeResult::Draining,
            _ => ProbeResult::Other,
        }
    };
    tokio::time::timeout(PROBE_TIMEOUT, asked).await.unwrap_or(ProbeResult::Other)
}
