//! Checks and completes the description of a circle, and makes the circle.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use functions::roles::{AccessControl, AccessDefinition};
use keys::PublicKey;
use protocol::{Limits, methods::Access};
use tokio::sync::watch;
use worker::{HostModule, ModuleSources, Preparation};

use super::{
    super::{
        BeyondLoopback, Circle, CirclePhase, Sandbox,
        build_error::BuildError,
        identity::CircleIdentity,
        script_constants,
        settings::{SessionLimits, Settings},
        worker_pool::{WorkerKind, WorkerPool},
    },
    CircleBuilder, Workers,
};
use crate::{
    circle_functions::{Generation, NAMESPACE, read_directory},
    circle_store::{self, CircleStore, EVENTS, RecoveryListener, STORE, StoreLocation},
    host::{AnyModule, FunctionTable},
    log_limit::LogLimit,
    metrics::Metrics,
    quota::{self, Admission, CallerSemaphores, FairSemaphore, LossRate, RateLimit},
    rights::Rights,
};

/// Sessions for each core whose queries are evaluated at the same time. Further sessions wait, and callers take turns.
const QUERIES_PER_CORE: u64 = 4;

/// One caller may hold one in this many of the grants for queries.
const QUERIES_SHARE: u64 = 4;

impl CircleBuilder {
    /// Makes the circle.
    ///
    /// # Errors
    ///
    /// There are no workers; the required sandbox is not available; the name, a limit or a host module is invalid; the
    /// directory of modules cannot be read; or the operating system returns no random bytes.
    pub fn build(mut self) -> Result<Circle, BuildError> {
        if !protocol::is_circle_name(&self.name) {
            return Err(BuildError::BadName { name: self.name });
        }
        if let Some(name) = self.limits.first_zero() {
            return Err(BuildError::ZeroLimit { name });
        }
        let sandbox = self.sandbox.unwrap_or_default();
        let kind = worker_kind(self.workers, sandbox)?;
        let modules = read_modules(self.modules)?;
        let module_names = modules.names().map(str::to_owned).collect();
        let access = self.access.unwrap_or(if self.members.is_some() { Access::Members } else { Access::Open });
        let rights = rights(self.access_definition, access, self.members.unwrap_or_default())?;
        let admits_anonymous = rights.admits_anonymous();
        fit_connections(&mut self.limits, &kind);
        quota::derive_shares(&mut self.limits, kind.has_own_workers());
        let store_modules = store_modules(self.store.is_some(), &self.host)?;
        let host = FunctionTable::new(store_modules, self.host, self.own_functions, &self.limits);
        let host_modules = host.offered();
        HostModule::check(&host_modules)?;
        let mut setup = worker::WorkerSetup {
            constants: script_constants::of_circle(&self.name),
            limits: worker_limits(&self.limits),
            modules,
            init: self.init,
            host: host_modules,
            functions: None,
            must_be_sealed: sandbox == Sandbox::Required,
        };
        let functions = load_functions(self.functions, rights.have_roles(), &kind, &setup, &host, &self.limits)?;
        let mut function_names = Vec::new();
        if let Some(functions) = &functions {
            let (mut modules, names) = functions.offered();
            setup.host.append(&mut modules);
            function_names = names;
        }
        let pool = kind.pool_observer();
        let settings = Settings {
            functions,
            contracts: Arc::default(),
            workers: Arc::new(WorkerPool::new(kind, setup, Duration::from_millis(self.limits.play_ms))),
            description: self.description,
            rights: Arc::new(rights),
            hosts: self.hosts,
            origins: self.origins,
            trusted_proxies: self.trusted_proxies,
            has_console: self.has_console,
            tls: self.tls,
            limits: Arc::new(SessionLimits { values: self.limits.clone(), module_names, functions: function_names }),
        };
        let identity = self.identity.map_or_else(CircleIdentity::generate, Ok)?;
        // Last, because opening may take long, and everything else may fail.
        let store = open_store(self.store, &self.name, &self.limits, self.on_store_recovery)?;
        let admission = Admission::new(&self.limits, !admits_anonymous);
        let running_plays = running_plays(&self.limits);
        let queries = max_queries();
        Ok(Circle {
            settings: watch::Sender::new(Arc::new(settings)),
            metrics: Arc::new(Metrics::new(
                &self.name,
                admission.memory(),
                admission.connections.clone(),
                running_plays.clone(),
                store.as_ref().map(CircleStore::observer),
                pool,
            )),
            admission,
            running_plays,
            running_calls: running_calls(&self.limits),
            running_queries: FairSemaphore::new(queries, queries / QUERIES_SHARE),
            caller_semaphores: CallerSemaphores::default(),
            rate_limit: RateLimit::new(&self.limits),
            role_rate: RateLimit::new(&self.limits),
            host,
            store,
            phase: watch::channel(CirclePhase::Open).0,
            has_started: AtomicBool::new(false),
            admission_hook: self.admission_hook,
            sessions: watch::channel(0).0,
            sessions_so_far: AtomicU64::new(0),
            sandbox,
            has_localhost: AtomicBool::new(false),
            auditor: self.auditor,
            logged_plays: LogLimit::with_burst(),
            logged_calls: LogLimit::with_burst(),
            logged_call_faults: LogLimit::with_burst(),
            logged_failures: LogLimit::default(),
            logged_refusals: LogLimit::default(),
            #[cfg(feature = "tls")]
            handshake_pace: crate::transport::HandshakePace::default(),
            losses: LossRate::default(),
            name: self.name,
            identity,
            beyond_loopback: BeyondLoopback::new(self.allow_open, self.sandbox.is_some()),
            grace: self.grace,
        })
    }
}

/// Reads the modules that scripts can import.
fn read_modules(directory: Option<PathBuf>) -> Result<ModuleSources, BuildError> {
    let Some(directory) = directory else { return Ok(ModuleSources::default()) };
    ModuleSources::read(&directory).map_err(|source| BuildError::Modules { directory, source })
}

/// Makes the grants for plays.
fn running_plays(limits: &Limits) -> FairSemaphore {
    FairSemaphore::new(limits.running_plays, limits.running_per_caller.unwrap_or(limits.running_plays))
}

/// Makes the grants for calls of functions.
fn running_calls(limits: &Limits) -> FairSemaphore {
    FairSemaphore::new(limits.running_calls, limits.calls_per_caller.unwrap_or(limits.running_calls))
}

/// Returns how many sessions evaluate queries at the same time.
fn max_queries() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64) * QUERIES_PER_CORE
}

fn open_store(
    location: Option<StoreLocation>,
    circle: &str,
    limits: &Limits,
    on_recovery: Option<RecoveryListener>,
) -> Result<Option<CircleStore>, BuildError> {
    location.map(|location| CircleStore::open(&location, circle, limits, on_recovery)).transpose()
}

/// Returns the modules of the store, if there is one.
fn store_modules(has_store: bool, host: &[Arc<dyn AnyModule>]) -> Result<Vec<Arc<dyn AnyModule>>, BuildError> {
    if !has_store {
        return Ok(Vec::new());
    }
    let names = host.iter().map(|module| &module.offered().name);
    if let Some(name) = names.into_iter().find(|name| [STORE, EVENTS].contains(&name.as_str())) {
        return Err(BuildError::StoreModuleTaken { name: name.clone() });
    }
    Ok(circle_store::modules().into())
}

/// Returns the kind of the workers, if there can be any.
fn worker_kind(workers: Workers, sandbox: Sandbox) -> Result<WorkerKind, BuildError> {
    Ok(match workers {
        Workers::SameExecutable => match worker::preparation() {
            Preparation::Missing => return Err(BuildError::NoWorkers),
            Preparation::TooLate => return Err(BuildError::WorkersTooLate),
            _ => WorkerKind::Process(worker::Program::SameExecutable),
        },
        Workers::Process { program } => WorkerKind::Process(worker::Program::File(program)),
        #[cfg(feature = "nats")]
        Workers::Remote(remote) => {
            // For the startup check.
            worker_kind(Workers::SameExecutable, sandbox)?;
            WorkerKind::Remote(remote)
        }
        Workers::TrustedThreads if sandbox == Sandbox::Required => return Err(BuildError::NoSandbox),
        Workers::TrustedThreads => WorkerKind::Threads,
    })
}

fn worker_limits(limits: &Limits) -> worker::WorkerLimits {
    let bytes = |kib: u64| kib.saturating_mul(1024);
    worker::WorkerLimits {
        operations: limits.operations,
        output_bytes: bytes(limits.output_kib),
        call_depth: limits.call_depth,
        expression_depth: limits.expression_depth,
        string_bytes: bytes(limits.string_kib),
        array_items: limits.array_items,
        map_items: limits.map_items,
        host_bytes: bytes(limits.host_kib),
        memory_bytes: limits.memory_mib.saturating_mul(1 << 20),
    }
}

/// Reads the functions of a circle, if it has any.
fn load_functions(
    directory: Option<PathBuf>,
    has_roles: bool,
    kind: &WorkerKind,
    setup: &worker::WorkerSetup,
    host: &FunctionTable,
    limits: &Limits,
) -> Result<Option<Arc<Generation>>, BuildError> {
    if directory.is_none() && host.own().next().is_none() {
        return Ok(None);
    }
    if !has_roles {
        return Err(BuildError::FunctionsWithoutRoles);
    }
    if setup.host.iter().any(|module| module.name == NAMESPACE) {
        return Err(BuildError::NamespaceTaken);
    }
    let files = match directory {
        Some(directory) => {
            read_directory(&directory).map_err(|source| BuildError::FunctionFiles { directory, source })?
        }
        None => Vec::new(),
    };
    Ok(Some(Arc::new(Generation::new(files, kind.clone(), setup, host, limits)?)))
}

/// Lowers the number of connections to what the system allows.
fn fit_connections(limits: &mut Limits, kind: &WorkerKind) {
    let wanted = limits.connections;
    quota::fit_to_memory(limits);
    quota::fit_to_descriptors(limits, kind.descriptors());
    let connections = limits.connections;
    if connections < wanted && wanted != Limits::default().connections {
        tracing::warn!(
            wanted,
            connections,
            "limits.connections lowered: connection_mib or the limit of open files allows no more"
        );
    }
}

/// Resolves the roles, or makes the rights of a circle without roles.
fn rights(
    definition: Option<AccessDefinition<PublicKey>>,
    access: Access,
    members: BTreeSet<PublicKey>,
) -> Result<Rights, BuildError> {
    Ok(match definition {
        Some(definition) => Rights::of_roles(AccessControl::new(definition).map_err(BuildError::Roles)?),
        None => Rights::of_access(access, members),
    })
}
