//! Workers on other machines.

use std::{fmt, io, sync::Arc};

use worker::{Worker, WorkerSetup};
use worker_nats::{
    server::{Hub, PlaceError},
    workers::PlaceableSetup,
};

use super::{Circle, WorkerKind};

/// Workers on other machines, which a hub places by NATS ([`Workers::Remote`](crate::Workers::Remote)).
///
/// The scripts run there; host calls, the store, events, keys and all decisions stay in this program.
#[derive(Clone)]
pub struct RemoteWorkers(Arc<Hub>);

impl RemoteWorkers {
    /// Makes them from a connected hub. Circles may share one.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self(hub)
    }

    /// Returns the hub.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.0
    }

    /// Places a worker for a group of sessions or callers. The error contains a [`PlaceError`].
    pub(super) async fn place(&self, setup: &PlaceableSetup, group: u64) -> io::Result<Worker> {
        let (_, worker) = setup.place(&self.0, group).await.map_err(io::Error::other)?;
        Ok(worker)
    }
}

impl fmt::Debug for RemoteWorkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteWorkers").field(&self.0.options().circle).finish()
    }
}

impl Circle {
    /// Returns the workers on other machines, if the circle has them.
    pub fn remote_workers(&self) -> Option<RemoteWorkers> {
        match &self.settings.borrow().workers.kind {
            WorkerKind::Remote(remote) => Some(remote.clone()),
            WorkerKind::Process(_) | WorkerKind::Threads => None,
        }
    }
}

/// The same hub.
impl PartialEq for RemoteWorkers {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for RemoteWorkers {}

/// Makes a setup ready to be placed.
pub(super) fn placeable(setup: &WorkerSetup) -> PlaceableSetup {
    PlaceableSetup::new(setup.clone())
}

/// Returns the error of a start that takes too long.
pub(super) fn timeout_error() -> io::Error {
    io::Error::other(PlaceError::TimedOut)
}

/// Returns the time after which another start makes sense in milliseconds, if no machine had a place for a worker.
pub(crate) fn retry_after_ms(error: &io::Error) -> Option<u64> {
    let error = error.get_ref()?.downcast_ref::<PlaceError>()?;
    u64::try_from(error.retry_after().as_millis()).ok()
}
