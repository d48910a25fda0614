//! Memory that connections have freed goes back to the system: by itself the allocator keeps most of it, so one wave of
//! connections would cost a circle its peak for good.

use std::{sync::Arc, time::Duration};

use crate::circle::Circle;

/// How often it is looked whether connections have ended.
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
                tracing::error!(%error, "freed memory is not returned to the system");
            }
        }
    }
}
