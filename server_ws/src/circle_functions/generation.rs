//! A generation of the functions: their catalog, and the workers that have compiled the files.

use std::{io, sync::Arc, time::Duration};

use functions::roles::Role;
use protocol::Limits;
use worker::{FunctionFile, FunctionFiles, HostModule, WorkerSetup};

use super::{
    FunctionsError, NAMESPACE,
    catalog::{Catalog, CircleFunction},
    workers::{FunctionWorkers, PooledWorker},
};
use crate::{
    circle::{WorkerKind, WorkerPool},
    host::FunctionTable,
    quota::Caller,
    rights::CallerGroup,
};

/// One version of the functions of a circle.
#[derive(Debug)]
pub(crate) struct Generation {
    catalog: Catalog,
    workers: FunctionWorkers,
}

impl Generation {
    /// Makes a generation of files. `setup` is that of the workers of plays, `own` has the functions of the program.
    ///
    /// # Errors
    ///
    /// All mistakes in all files.
    pub(crate) fn new(
        files: Vec<FunctionFile>,
        kind: WorkerKind,
        setup: &WorkerSetup,
        own: &FunctionTable,
        limits: &Limits,
    ) -> Result<Self, FunctionsError> {
        let catalog = Catalog::parse(&files, own, &setup.limits)?;
        let setup = WorkerSetup {
            init: None,
            functions: Some(FunctionFiles { namespace: NAMESPACE.into(), files }),
            ..setup.clone()
        };
        let pool = WorkerPool::new(kind, setup, Duration::from_millis(limits.call_ms));
        Ok(Self { catalog, workers: FunctionWorkers::new(pool, limits) })
    }

    /// Whether functions have files, and so need workers.
    pub(crate) fn has_files(&self) -> bool {
        self.catalog.has_files()
    }

    /// Whether the workers of another generation would be the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.catalog.digest == other.catalog.digest && self.workers.have_same_setup(&other.workers)
    }

    /// Applies new bounds of the number of workers.
    pub(crate) fn apply(&self, limits: &Limits) {
        self.workers.apply(limits);
    }

    /// Returns the version of what callers see. It differs for other functions and for other roles, of which this is the
    /// digest.
    pub(crate) fn version(&self, roles: u64) -> String {
        format!("{:016x}", self.catalog.digest ^ roles.rotate_left(1))
    }

    /// Returns a function that a role may call.
    pub(crate) fn find(&self, name: &str, role: &Role) -> Option<&Arc<CircleFunction>> {
        self.catalog.find(name, role)
    }

    /// Returns the functions that a role may call, in the order of their names.
    pub(crate) fn permitted(&self, role: &Role) -> impl Iterator<Item = &CircleFunction> {
        self.catalog.permitted(role)
    }

    /// Returns the functions as modules of plays, and their names in the order of the modules.
    pub(crate) fn offered(&self) -> (Vec<HostModule>, Vec<Arc<str>>) {
        self.catalog.offered()
    }

    /// Checks a worker out for a call, once there is one for its caller. Cancel safe.
    pub(crate) async fn checkout(&self, group: CallerGroup, caller: Caller) -> io::Result<PooledWorker> {
        self.workers.checkout(group, caller).await
    }

    /// Returns the pool of the workers, for the startup check.
    pub(crate) fn pool(&self) -> &WorkerPool {
        self.workers.pool()
    }
}
