//! The builder of a circle, which checks and completes the description when it makes the circle.

mod build;

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use functions::roles::AccessDefinition;
use keys::{Authority, KeyPair, PublicKey};
use protocol::{Limits, methods::Access};
use serde::Serialize;

#[cfg(feature = "nats")]
use super::RemoteWorkers;
use super::{Circle, Sandbox, identity::CircleIdentity};
use crate::{
    admission_hook::{AdmissionHook, ConnectionRequest},
    audit::{Auditor, PlayRecord},
    circle_store::{RecoveryListener, StoreLocation},
    host::{self, AnyModule, Module},
    tls::TlsCertificate,
};

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
    /// Processes on other machines. The startup check runs the init script and the functions in a process of the running
    /// executable, as [`SameExecutable`](Self::SameExecutable) does. Without a machine the circle serves, and plays get
    /// [`Busy`](protocol::RpcError::Busy).
    #[cfg(feature = "nats")]
    Remote(RemoteWorkers),
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
            access_definition: None,
            hosts: BTreeSet::new(),
            origins: BTreeSet::new(),
            trusted_proxies: BTreeSet::new(),
            has_console: true,
            tls: None,
            modules: None,
            init: None,
            functions: None,
            own_functions: Vec::new(),
            store: None,
            on_store_recovery: None,
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
    access_definition: Option<AccessDefinition<PublicKey>>,
    hosts: BTreeSet<Authority>,
    origins: BTreeSet<String>,
    trusted_proxies: BTreeSet<IpAddr>,
    has_console: bool,
    tls: Option<TlsCertificate>,
    modules: Option<PathBuf>,
    init: Option<String>,
    functions: Option<PathBuf>,
    own_functions: Vec<Arc<dyn AnyModule>>,
    store: Option<StoreLocation>,
    on_store_recovery: Option<RecoveryListener>,
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

    /// Sets roles and who has them. What no role grants, the circle refuses. [`access`](Self::access) and
    /// [`members`](Self::members) have no effect then.
    #[must_use]
    pub fn roles(mut self, definition: AccessDefinition<PublicKey>) -> Self {
        self.access_definition = Some(definition);
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
    /// certificate to new connections. Needs the feature `tls`, which is on by default.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, certificate: TlsCertificate) -> Self {
        self.tls = Some(certificate);
        self
    }

    /// Sets the directory of the modules for `import`. [`build`](Self::build) reads the modules; a
    /// [reconfiguration](Circle::reconfigure) with another circle of the same directory applies changes.
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

    /// Sets a directory of Rhai files, whose functions callers can call by name (`fn.NAME`) if their role says so: see
    /// [`roles`](Self::roles). In `price.rhai` the function `price` is called `price`, and another one `price.NAME`; a
    /// `private fn` is a helper. Doc comments declare types. [`build`](Self::build) reads and checks the files.
    #[must_use]
    pub fn functions(mut self, directory: impl Into<PathBuf>) -> Self {
        self.functions = Some(directory.into());
        self
    }

    /// Sets where the store of the circle is. Without one, scripts have no `store` and no `events`.
    ///
    /// Every play and every call of a function is then a transaction of the store: it commits before the circle answers,
    /// or has no effect. [`build`](Self::build) opens the store, which takes longer after a crash. One process at a time
    /// has a store open, and only a circle of the same name opens it again.
    #[must_use]
    pub fn store(mut self, location: StoreLocation) -> Self {
        self.store = Some(location);
        self
    }

    /// Calls a function with the share of the work that is done, from 0 to 1000, while [`build`](Self::build) recovers the
    /// store after a crash. It runs on the thread of `build`, after each read, also if the share is still the same, and must
    /// not block.
    #[must_use]
    pub fn on_store_recovery(mut self, on_recovery: impl Fn(u16) + Send + Sync + 'static) -> Self {
        self.on_store_recovery = Some(RecoveryListener(Box::new(on_recovery)));
        self
    }

    /// Adds a function of the circle that the program has, next to those of [`functions`](Self::functions): `price`, or
    /// `order.place`. Callers call it as `fn.NAME` and plays as `circle::price(…)` if their role says so. See
    /// [`function_module`](Self::function_module), which has functions with a state.
    #[must_use]
    pub fn function<const N: usize, A, F, T>(
        self,
        name: impl Into<String>,
        params: [&str; N],
        doc: impl Into<String>,
        function: impl Fn(host::Call, A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: host::Arguments<N> + host::JsonSchema,
        F: Future<Output = host::Result<T>> + Send + 'static,
        T: Serialize + host::JsonSchema + Send,
    {
        let name = name.into();
        let (module, own) = name.split_once('.').unwrap_or((&name, &name));
        let module = Module::new(module).function(own, params, doc, function);
        self.function_module(module)
    }

    /// Adds the functions of a module as functions of the circle: in the module `order`, the function `order` is called
    /// `order`, and another one `order.NAME`. The names of the parameters, the types, the transactions and the errors are
    /// those of [host functions](crate::host). A parameter whose type accepts null may be left out. An error reaches the
    /// caller as −32000 with `kind` `thrown` and its `code`, `message` and `data` in `thrown`; an
    /// [internal](host::Error::internal) one as −32603.
    #[must_use]
    pub fn function_module<S, Tx: Send + 'static>(mut self, module: Module<S, Tx>) -> Self {
        self.own_functions.push(module.erase());
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
}

#[cfg(test)]
mod tests;
