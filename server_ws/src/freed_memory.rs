//! The return of memory that connections have freed to the system. The allocator would keep most of it, so that one
//! wave of connections would occupy its peak memory forever.

use std::{sync::Arc, time::Duration};

use crate::circle::Circle;

/// How often to check whether connections have ended.
const RETURN_INTERVAL: Duration = Duration::from_secs(5);

/// Returns freed memory for as long as the future is polled.
pub(crate) async fn return_periodically(circle: Arc<Circle>) {
    let mut ended_before = 0;
    loop {
        tokio::time::sleep(RETURN_INTERVAL).await;
        let ended = circle.admission.connections.totals().ended;
        if ended != ended_before {
            ended_before = ended;
            if let Err(error) = tokio::task::spawn_blocking(worker::return_freed_memory).await {
                tracing::error!(%error, "cannot return freed memory to the system");
            }
        }
    }
}
