//! Who may hold how much of a circle: connections and workers.

use std::sync::Arc;

use protocol::{Limits, RpcError, error::BusyLimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Descriptors that a circle needs besides those of its connections and workers.
const SPARE_DESCRIPTORS: u64 = 64;

/// A place that is held; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(crate) struct Admission {
    connections: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    max_workers: u64,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        let places = |limit: u64| {
            let limit = usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS);
            Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)))
        };
        Self { connections: places(limits.connections), workers: places(limits.workers), max_workers: limits.workers }
    }

    pub(crate) fn connection(&self) -> Option<Place> {
        take(&self.connections)
    }

    pub(crate) fn worker(&self) -> Result<Place, RpcError> {
        take(&self.workers).ok_or(RpcError::Busy {
            limit: BusyLimit::Workers,
            max: self.max_workers,
            retry_after_ms: None,
        })
    }
}

fn take(places: &Arc<Semaphore>) -> Option<Place> {
    places.clone().try_acquire_owned().ok().map(|permit| Place { _permit: permit })
}

/// Lowers the limits to what the process's descriptors allow: one a connection, two a worker.
pub(crate) fn fit_to_descriptors(limits: &mut Limits) {
    let Some(descriptors) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current else { return };
    let usable = descriptors.saturating_sub(SPARE_DESCRIPTORS).max(8);
    limits.workers = limits.workers.min(usable / 4).max(1);
    limits.connections = limits.connections.min(usable - 2 * limits.workers).max(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let admission = Admission::new(&Limits { connections: 1, workers: 1, ..Limits::default() });
        let held = admission.connection().expect("free");
        assert!(admission.connection().is_none());
        drop(held);
        assert!(admission.connection().is_some());
        let _held = admission.worker().expect("free");
        assert_eq!(admission.worker().expect_err("taken").code(), -32006);
    }
}
