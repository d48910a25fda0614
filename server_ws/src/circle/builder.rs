//! The builder of a circle, which checks and completes the description when it makes the circle.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use keys::{Authority, KeyPair, PublicKey};
use protocol::{Limits, methods::Access};
use tokio::sync::watch;
use worker::{HostModule, Preparation};

use super::{
    BeyondLoopback, Circle, CirclePhase, Sandbox,
    build_error::BuildError,
    identity::CircleIdentity,
    script_constants,
    settings::{SessionLimits, Settings},
    worker_pool::{WorkerKind, WorkerPool},
};
use crate::{
    admission_hook::{AdmissionHook, ConnectionRequest},
    audit::{Auditor, PlayRecord},
    host::{AnyModule, FunctionTable, Module},
    log_limit::LogLimit,
    metrics::Metrics,
    quota::{self, Admission, CallerSemaphores, FairSemaphore, LossRate, RateLimit},
    tls::TlsCertificate,
};

/// Sessions for each core whose queries are evaluated at the same time. Further sessions wait, and callers take turns.
const QUERIES_PER_CORE: u64 = 4;

/// One caller may hold one in this many of the grants for queries.
const QUERIES_SHARE: u64 = 4;

/// The workers that evaluate scripts.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Workers {
    /// Processes of the running executable; its `main` must begin with [`worker::run_if_worker`].
    #[default]
    SameExecutable,
    /// Processes of another executable, for test harnesses; its `main` must begin with [`worker::run_if_worker`].
    Process {
        /// The path of the executable.
        program: PathBuf,
    },
    /// Threads of this process, for trusted scripts.
    ///
    /// Threads have no sandbox and no memory limit (`memory_mib` has no effect), and a script that exhausts its stack
    /// ends the program. A script that does not stop in time loses its session, but the thread continues until the
    /// parser or the native function returns. [`worker::run_if_worker_with`] registers native functions
    /// for these scripts.
    TrustedThreads,
}

impl Circle {
    /// Returns a builder for a circle with this name; see [`CircleBuilder`].
    pub fn builder(name: impl Into<String>) -> CircleBuilder {
        CircleBuilder {
            name: name.into(),
            description: None,
            access: None,
            allow_open: false,
            members: None,
            hosts: BTreeSet::new(),
            origins: BTreeSet::new(),
            trusted_proxies: BTreeSet::new(),
            has_console: true,
            tls: None,
            modules: None,
            init: None,
            host: Vec::new(),
            limits: Limits::default(),
            grace: Duration::from_secs(5),
            workers: Workers::default(),
            sandbox: None,
            auditor: None,
            admission_hook: None,
            identity: None,
        }
    }
}

/// A builder of a [`Circle`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use server_ws::{Circle, Limits, Workers};
///
/// let circle = Circle::builder("sandbox")
///     .description("A place to try things out")
///     .limits(Limits { play_ms: 5_000, ..Limits::default() })
///     .grace_period(Duration::from_secs(2))
///     .workers(Workers::TrustedThreads)
///     .build()?;
/// assert_eq!(circle.observer().snapshot().connections, 0);
/// # Ok::<(), server_ws::BuildError>(())
/// ```
#[derive(Debug)]
pub struct CircleBuilder {
    name: String,
    description: Option<String>,
    /// Who may play, if the program has set it.
    access: Option<Access>,
    allow_open: bool,
    members: Option<BTreeSet<PublicKey>>,
    hosts: BTreeSet<Authority>,
    origins: BTreeSet<String>,
    trusted_proxies: BTreeSet<IpAddr>,
    has_console: bool,
    tls: Option<TlsCertificate>,
    modules: Option<PathBuf>,
    init: Option<String>,
    host: Vec<Arc<dyn AnyModule>>,
    limits: Limits,
    grace: Duration,
    workers: Workers,
    sandbox: Option<Sandbox>,
    auditor: Option<Auditor>,
    admission_hook: Option<AdmissionHook>,
    identity: Option<CircleIdentity>,
}

impl CircleBuilder {
    /// Sets the operator's description, which `describe` returns.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets who may play. The default is [`Access::Members`] if [`members`](Self::members) are set, and
    /// [`Access::Open`] otherwise.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Confirms that [`run`](crate::run) may serve an open circle on an address that is not loopback, where anyone who
    /// reaches the address may play. Without this, [`run`](crate::run) returns an error.
    #[must_use]
    pub fn allow_open(mut self, allow_open: bool) -> Self {
        self.allow_open = allow_open;
        self
    }

    /// Sets the keys that [`Access::Members`] admits. Unless [`access`](Self::access) says otherwise, the circle admits
    /// only these keys, and nobody if the list is empty.
    #[must_use]
    pub fn members(mut self, members: impl IntoIterator<Item = PublicKey>) -> Self {
        self.members = Some(members.into_iter().collect());
        self
    }

    /// Sets the key with which the circle identifies itself, now and after every restart. Clients record its public key
    /// and refuse another one at the same address. Replicas of a circle share a key. Anyone who has the secret can
    /// impersonate the circle.
    ///
    /// Without a key, the circle generates one for this process. Clients do not record such an ephemeral identity, and
    /// refuse it beyond loopback unless their user accepts it.
    #[must_use]
    pub fn identity(mut self, keypair: KeyPair) -> Self {
        self.identity = Some(CircleIdentity::persistent(keypair));
        self
    }

    /// Sets the key with which the circle identifies itself at an address that it does not keep, such as a port that
    /// the system chose. Clients do not record this key.
    #[must_use]
    pub fn ephemeral_identity(mut self, keypair: KeyPair) -> Self {
        self.identity = Some(CircleIdentity::ephemeral(keypair));
        self
    }

    /// Sets further authorities that the circle answers to, in addition to its own address and, on loopback,
    /// `localhost` (if the circle listens on both addresses of `localhost`).
    #[must_use]
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = Authority>) -> Self {
        self.hosts = hosts.into_iter().collect();
        self
    }

    /// Sets the web origins (`https://example.org`) whose pages may connect, in addition to the circle's own.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        self.origins = origins.into_iter().map(|origin| origin.to_ascii_lowercase()).collect();
        self
    }

    /// Sets the addresses of trusted proxies. For a connection from one of them, the address of the client is the last
    /// one in `X-Forwarded-For` that is not a trusted proxy.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        self.trusted_proxies = proxies.into_iter().map(|proxy| proxy.to_canonical()).collect();
        self
    }

    /// Sets whether a browser that opens the circle's address gets the web console; the default is true. Without the
    /// console, the browser gets a line of text, as other HTTP clients do.
    #[must_use]
    pub fn console(mut self, has_console: bool) -> Self {
        self.has_console = has_console;
        self
    }

    /// Serves TLS with this certificate: `wss://` and `https://`, and nothing without TLS. Every name by which clients
    /// connect, other than the address, also belongs to [`hosts`](Self::hosts). [`Circle::reconfigure`] applies a renewed
    /// certificate to new connections.
    #[must_use]
    pub fn tls(mut self, certificate: TlsCertificate) -> Self {
        self.tls = Some(certificate);
        self
    }

    /// Sets the only directory that `import` reads.
    #[must_use]
    pub fn modules(mut self, directory: impl Into<PathBuf>) -> Self {
        self.modules = Some(directory.into());
        self
    }

    /// Sets a script whose functions and constants every session has. [`run`](crate::run) runs it once before it
    /// serves.
    #[must_use]
    pub fn init(mut self, script: impl Into<String>) -> Self {
        self.init = Some(script.into());
        self
    }

    /// Adds a module of host functions; see [`host`](crate::host). Each module needs a name of its own.
    #[must_use]
    pub fn host_module<S, Tx: Send + 'static>(mut self, module: Module<S, Tx>) -> Self {
        self.host.push(module.erase());
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how long running plays may continue once the circle shuts down; the default is 5 seconds.
    #[must_use]
    pub fn grace_period(mut self, grace_period: Duration) -> Self {
        self.grace = grace_period;
        self
    }

    /// Sets the workers that evaluate scripts.
    #[must_use]
    pub fn workers(mut self, workers: Workers) -> Self {
        self.workers = workers;
        self
    }

    /// Sets whether the circle serves on a system that cannot isolate its scripts. Without a setting, the circle serves
    /// on loopback with the best effort, and [`run`](crate::run) returns an error on any other address.
    #[must_use]
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = Some(sandbox);
        self
    }

    /// Sets a function that decides on each connection before its upgrade, by the address and the headers of the request.
    /// The error is the reason, one line for the client, who gets it with the status 403. The function may take 10
    /// seconds. It runs before the client can authenticate, and in addition to all other checks.
    #[must_use]
    pub fn admit<F>(mut self, decide: impl Fn(ConnectionRequest) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.admission_hook = Some(AdmissionHook::new(decide));
        self
    }

    /// Sets a function that receives a record of each finished play. The circle calls it on the threads that serve
    /// connections, so it must not block.
    #[must_use]
    pub fn audit(mut self, record: impl Fn(PlayRecord) + Send + Sync + 'static) -> Self {
        self.auditor = Some(Auditor::new(record));
        self
    }

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
        let module_names = match &self.modules {
            None => Vec::new(),
            Some(directory) => worker::module_names(directory)
                .map_err(|source| BuildError::Modules { directory: directory.clone(), source })?,
        };
        let access = self.access.unwrap_or(if self.members.is_some() { Access::Members } else { Access::Open });
        let wanted = self.limits.connections;
        quota::fit_to_memory(&mut self.limits);
        quota::fit_to_descriptors(&mut self.limits, kind.descriptors());
        let connections = self.limits.connections;
        if connections < wanted && wanted != Limits::default().connections {
            tracing::warn!(
                wanted,
                connections,
                "limits.connections lowered: connection_mib or the limit of open files allows no more"
            );
        }
        quota::derive_shares(&mut self.limits);
        let host = FunctionTable::new(self.host, &self.limits);
        let host_modules = host.offered();
        HostModule::check(&host_modules)?;
        let setup = worker::WorkerSetup {
            constants: script_constants::of_circle(&self.name),
            limits: worker_limits(&self.limits),
            modules: self.modules,
            init: self.init,
            host: host_modules,
            must_be_sealed: sandbox == Sandbox::Required,
        };
        let settings = Settings {
            modules_digest: setup.modules.as_deref().map_or(0, worker::modules_digest),
            workers: Arc::new(WorkerPool::new(kind, setup, Duration::from_millis(self.limits.play_ms))),
            description: self.description,
            members: self.members.unwrap_or_default(),
            hosts: self.hosts,
            origins: self.origins,
            trusted_proxies: self.trusted_proxies,
            has_console: self.has_console,
            tls: self.tls,
            limits: Arc::new(SessionLimits { values: self.limits.clone(), module_names }),
        };
        let identity = self.identity.map_or_else(CircleIdentity::generate, Ok)?;
        let admission = Admission::new(&self.limits, access != Access::Open);
        let running_plays = FairSemaphore::new(
            self.limits.running_plays,
            self.limits.running_per_caller.unwrap_or(self.limits.running_plays),
        );
        let queries = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64) * QUERIES_PER_CORE;
        Ok(Circle {
            settings: watch::Sender::new(Arc::new(settings)),
            metrics: Arc::new(Metrics::new(
                &self.name,
                admission.memory(),
                admission.connections.clone(),
                running_plays.clone(),
            )),
            admission,
            running_plays,
            running_queries: FairSemaphore::new(queries, queries / QUERIES_SHARE),
            caller_semaphores: CallerSemaphores::default(),
            rate_limit: RateLimit::new(&self.limits),
            host,
            phase: watch::channel(CirclePhase::Open).0,
            has_started: AtomicBool::new(false),
            admission_hook: self.admission_hook,
            sessions: watch::channel(0).0,
            sessions_so_far: AtomicU64::new(0),
            layers: OnceLock::new(),
            sandbox,
            has_localhost: AtomicBool::new(false),
            auditor: self.auditor,
            logged_plays: LogLimit::with_burst(),
            logged_failures: LogLimit::default(),
            logged_refusals: LogLimit::default(),
            losses: LossRate::default(),
            name: self.name,
            identity,
            access,
            beyond_loopback: BeyondLoopback {
                is_open_allowed: access != Access::Open || self.allow_open,
                is_sandbox_chosen: self.sandbox.is_some(),
            },
            grace: self.grace,
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circle_without_workers_is_rejected() {
        assert!(matches!(Circle::builder("a").build(), Err(BuildError::NoWorkers)));
    }

    #[test]
    fn members_imply_members_access() {
        let builder = || Circle::builder("a").workers(Workers::TrustedThreads);
        let access = |builder: CircleBuilder| builder.build().expect("a circle").access;
        assert_eq!(access(builder()), Access::Open);
        assert_eq!(access(builder().members([])), Access::Members);
        assert_eq!(access(builder().members([]).access(Access::Open)), Access::Open);
        assert_eq!(access(builder().access(Access::Authenticated).members([])), Access::Authenticated);
    }

    #[test]
    fn threads_have_no_sandbox() {
        let builder = || Circle::builder("a").workers(Workers::TrustedThreads);
        assert!(builder().build().is_ok());
        assert!(matches!(builder().sandbox(Sandbox::Required).build(), Err(BuildError::NoSandbox)));
    }

    #[test]
    fn invalid_circle_name_is_rejected() {
        for name in ["", "9001", "A", "a b", "a/b", &"a".repeat(65)] {
            let built = Circle::builder(name).workers(Workers::Process { program: "x".into() }).build();
            assert!(matches!(built, Err(BuildError::BadName { .. })), "{name}");
        }
        assert!(Circle::builder("team-1").workers(Workers::Process { program: "x".into() }).build().is_ok());
    }

    #[test]
    fn circle_beyond_loopback_needs_explicit_choices() {
        let builder = || Circle::builder("a").workers(Workers::TrustedThreads);
        let serves = |builder: CircleBuilder, address: &str| {
            builder.build().expect("a circle").check_address(address.parse().expect("an address")).is_ok()
        };
        let chosen = || builder().sandbox(Sandbox::BestEffort);
        for address in ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(!serves(chosen(), address) && serves(chosen().allow_open(true), address), "{address}");
            assert!(!serves(builder().members([]), address) && serves(chosen().members([]), address), "{address}");
        }
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert!(serves(builder(), address), "{address}");
        }
    }
}
