//! Who may hold how much of a circle: connections and workers.

use std::sync::Arc;

use protocol::{Limits, RpcError, error::BusyLimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Descriptors that a circle needs besides those of its connections and workers, and one in so many more for clients that
/// have not said yet what they want.
const SPARE_DESCRIPTORS: u64 = 64;
const SPARE_SHARE: u64 = 8;

/// Descriptors that a worker takes: two sockets, and its process.
const WORKER_DESCRIPTORS: u64 = 3;

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

/// Lowers the limits to what the process's descriptors allow: one a connection, three a worker, of which there are to be
/// half as many as connections at the most.
pub(crate) fn fit_to_descriptors(limits: &mut Limits) {
    let Some(descriptors) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current else { return };
    fit(limits, descriptors);
}

fn fit(limits: &mut Limits, descriptors: u64) {
    let usable = descriptors.saturating_sub(SPARE_DESCRIPTORS);
    let usable = (usable - usable / SPARE_SHARE).max(WORKER_DESCRIPTORS + 2);
    limits.workers = limits.workers.min((usable / (WORKER_DESCRIPTORS + 2)).max(1));
    limits.connections = limits.connections.min(usable - WORKER_DESCRIPTORS * limits.workers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_fit_into_the_descriptors_that_there_are() {
        for descriptors in [0, 20, 64, 256, 1024, 1 << 20] {
            let mut limits = Limits::default();
            fit(&mut limits, descriptors);
            assert!(limits.workers >= 1 && limits.connections >= 1, "{descriptors}: {limits:?}");
            let needed = limits.connections + WORKER_DESCRIPTORS * limits.workers;
            assert!(descriptors < 100 || needed + SPARE_DESCRIPTORS <= descriptors, "{descriptors}: {limits:?}");
        }
        let mut plenty = Limits::default();
        fit(&mut plenty, 1 << 20);
        assert_eq!(plenty, Limits::default());
    }

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
