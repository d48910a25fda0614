//! A circle: the state that all of its connections share.
//!
//! Three modules are above this one: `builder` makes a circle, `startup_check` runs one of its workers before it
//! serves, and `reconfigure` changes the settings of a running circle. Three modules are below: `identity` holds the
//! circle's own key, `settings` the settings that can change, `worker_pool` the processes that scripts run in, and
//! `spare_workers` those of them that wait for a session.

pub(crate) mod build_error;
pub(crate) mod builder;
mod identity;
pub(crate) mod reconfigure;
#[cfg(feature = "nats")]
mod remote_workers;
pub(crate) mod script_constants;
mod settings;
pub(crate) mod spare_workers;
pub(crate) mod startup_check;
mod worker_pool;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use keys::PublicKey;
use protocol::{RpcError, methods::Access};
use serde_json::value::RawValue;
use tokio::{sync::watch, time::Instant};

use crate::{
    admission_hook::AdmissionHook,
    audit::Auditor,
    circle_store::CircleStore,
    host::FunctionTable,
    log_limit::LogLimit,
    metrics::{Metrics, Observer},
    quota::{Admission, Caller, CallerSemaphores, ConnectionRefusal, FairSemaphore, LossRate, RateLimit, Slot},
    rights::CallerRights,
    subscriptions::EventHub,
};
use identity::CircleIdentity;
#[cfg(feature = "nats")]
pub use remote_workers::RemoteWorkers;
pub(crate) use settings::{SessionLimits, Settings};
pub(crate) use spare_workers::WorkerStartGuard;
pub(crate) use worker_pool::{StartedWorker, WorkerKind, WorkerPool, retry_after_ms};

/// Whether a circle serves on a system that cannot isolate its scripts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sandbox {
    /// The circle does not serve: [`run`](crate::run) returns an error.
    Required,
    /// The circle serves, and `describe` lists the layers in effect.
    #[default]
    BestEffort,
}

/// The phase of a serving circle. Phases only go forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CirclePhase {
    /// The circle accepts connections and plays.
    Open,
    /// The circle accepts neither; running plays continue.
    Draining,
    /// The grace period is over: the circle stops running plays.
    Ending,
}

/// The program's settings for an address that is not loopback.
#[derive(Debug)]
struct BeyondLoopback {
    /// Whether the program has confirmed that anyone may play.
    allow_open: AtomicBool,
    /// Whether the program has set the sandbox.
    is_sandbox_chosen: bool,
    /// Whether the circle serves on such an address.
    is_reached: AtomicBool,
}

impl BeyondLoopback {
    fn new(allow_open: bool, is_sandbox_chosen: bool) -> Self {
        Self { allow_open: AtomicBool::new(allow_open), is_sandbox_chosen, is_reached: AtomicBool::new(false) }
    }
}

/// A circle, ready to [`run`](crate::run).
#[derive(Debug)]
pub struct Circle {
    pub(crate) name: String,
    pub(crate) identity: CircleIdentity,
    beyond_loopback: BeyondLoopback,
    pub(crate) grace: Duration,
    pub(crate) settings: watch::Sender<Arc<Settings>>,
    pub(crate) admission: Admission,
    pub(crate) running_plays: FairSemaphore,
    /// Calls of functions that have a worker or wait for one.
    pub(crate) running_calls: FairSemaphore,
    /// Sessions whose workers evaluate queries.
    pub(crate) running_queries: FairSemaphore,
    pub(crate) caller_semaphores: CallerSemaphores,
    pub(crate) rate_limit: RateLimit,
    /// The limit of plays and calls that a role sets.
    pub(crate) role_rate: RateLimit,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) host: FunctionTable,
    pub(crate) store: Option<CircleStore>,
    pub(crate) phase: watch::Sender<CirclePhase>,
    /// Whether the circle has been started.
    pub(crate) has_started: AtomicBool,
    /// The program's decision on connections.
    pub(crate) admission_hook: Option<AdmissionHook>,
    sessions: watch::Sender<usize>,
    sessions_so_far: AtomicU64,
    pub(crate) sandbox: Sandbox,
    /// Whether every client of `localhost` on the circle's port reaches the circle; false until it serves.
    pub(crate) has_localhost: AtomicBool,
    pub(crate) auditor: Option<Auditor>,
    /// The limit of log lines about plays.
    pub(crate) logged_plays: LogLimit,
    /// The limit of log lines about finished calls.
    pub(crate) logged_calls: LogLimit,
    /// The limit of log lines about faults of functions and their workers.
    pub(crate) logged_call_faults: LogLimit,
    /// The limit of log lines about failed authentications.
    pub(crate) logged_failures: LogLimit,
    /// The rate at which the workers of each caller may crash.
    pub(crate) losses: LossRate,
    /// The limit of log lines about refused connections.
    pub(crate) logged_refusals: LogLimit,
    /// The pace of the TLS handshakes of each address.
    #[cfg(feature = "tls")]
    pub(crate) handshake_pace: crate::transport::HandshakePace,
}

impl Circle {
    /// Returns the public key with which the circle identifies itself.
    pub fn identity(&self) -> PublicKey {
        self.identity.public_key()
    }

    /// Returns the store, if the circle has one.
    pub fn store(&self) -> Option<&store::Store> {
        self.store.as_ref().map(|store| &store.store)
    }

    /// Returns an observer of the circle. Call this before [`run`](crate::run) takes the circle.
    pub fn observer(&self) -> Observer {
        Observer(self.metrics.clone())
    }

    /// Checks that the circle may serve on this address. The defaults are safe on loopback only.
    pub(crate) fn check_address(&self, address: IpAddr) -> io::Result<()> {
        if address.to_canonical().is_loopback() {
            return Ok(());
        }
        let beyond_loopback = &self.beyond_loopback;
        let is_open = self.settings.borrow().rights.access() == Access::Open;
        let why = if is_open && !beyond_loopback.allow_open.load(Ordering::Relaxed) {
            "anyone who reaches that address could play: set CircleBuilder::members or another \
             CircleBuilder::access, or confirm with CircleBuilder::allow_open(true)"
        } else if !beyond_loopback.is_sandbox_chosen {
            "no sandbox is set for the scripts of strangers: set CircleBuilder::sandbox(Sandbox::Required), or \
             confirm with Sandbox::BestEffort"
        } else {
            beyond_loopback.is_reached.store(true, Ordering::Relaxed);
            return Ok(());
        };
        let message = format!("refusing to serve the circle '{}' on {address}: {why}", self.name);
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }

    /// Takes a slot for a socket from `peer`, if there is room for it.
    pub(crate) fn accept_socket(&self, peer: IpAddr) -> Result<Arc<Slot>, ConnectionRefusal> {
        self.admission.connections.accept((!self.is_trusted_proxy(peer)).then_some(peer))
    }

    /// Whether the address is that of a trusted proxy, which many clients share.
    pub(crate) fn is_trusted_proxy(&self, peer: IpAddr) -> bool {
        self.settings.borrow().trusted_proxies.contains(&peer.to_canonical())
    }

    /// Returns the current settings.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Whether a session may authenticate with this key.
    pub(crate) fn admits(&self, key: &PublicKey) -> bool {
        self.settings.borrow().rights.role(Some(key)).is_some()
    }

    /// Counts a play or a call towards the limit of the caller's role.
    ///
    /// # Errors
    ///
    /// The caller has used up its plays and calls per minute.
    pub(crate) fn count_run(&self, caller: impl FnOnce() -> Caller, rights: &CallerRights) -> Result<(), RpcError> {
        match rights.role.as_ref().and_then(|role| role.per_minute()) {
            Some(per_minute) => self.role_rate.take_of(caller(), per_minute, Instant::now()),
            None => Ok(()),
        }
    }

    /// Returns the numbers of the functions that plays with these rights do not see, among the host functions and the
    /// functions of the circle that an environment has.
    pub(crate) fn hidden_functions(&self, rights: &CallerRights, environment: &SessionLimits) -> Vec<u32> {
        let Some(role) = &rights.role else { return Vec::new() };
        let host = self.host.names().map(|(module, function)| role.may_use(module, function));
        let own = environment.functions.iter().map(|name| name.parse().is_ok_and(|name| role.may_call(&name)));
        (0..).zip(host.chain(own)).filter(|(_, is_visible)| !is_visible).map(|(number, _)| number).collect()
    }

    /// Returns the names of the functions that anonymous callers may call although a parameter or the result has no
    /// declared type.
    pub fn untyped_functions_of_anyone(&self) -> Vec<String> {
        let settings = self.settings();
        let (role, functions) = (settings.rights.role(None), settings.functions.as_ref());
        let permitted = role.zip(functions).into_iter().flat_map(|(role, functions)| functions.permitted(role));
        permitted
            .map(|function| &function.signature)
            .filter(|one| !one.is_typed())
            .map(|one| one.name.to_string())
            .collect()
    }

    /// Returns the contract for a caller with this key, or for an anonymous one: an `OpenRPC` document.
    pub(crate) fn contract(&self, key: Option<&PublicKey>) -> Option<Arc<RawValue>> {
        let settings = self.settings();
        // Those of the same settings, to which the documents belong.
        let rights = settings.rights.of_caller(key);
        let functions = settings.functions.as_deref();
        settings.contracts.of_role(rights.role.as_deref(), functions, self.host.contract.as_ref())
    }

    /// Returns the rights of a caller with this key, or of an anonymous caller.
    pub(crate) fn rights_of(&self, key: Option<&PublicKey>) -> CallerRights {
        self.settings.borrow().rights.of_caller(key)
    }

    /// Returns the caller with this key, or the anonymous caller at an address, to which quotas are counted.
    pub(crate) fn caller(&self, key: Option<PublicKey>, address: IpAddr) -> Caller {
        match key {
            Some(key) => Caller::Key(self.settings.borrow().rights.quota_key(key)),
            None => Caller::anonymous(address),
        }
    }

    /// Counts a session until the guard is dropped.
    pub(crate) fn count_session(self: &Arc<Self>) -> SessionGuard {
        self.sessions.send_modify(|sessions| *sessions += 1);
        SessionGuard { circle: self.clone() }
    }

    /// Returns the number of a new session, which identifies the session in the log.
    pub(crate) fn next_session_number(&self) -> u64 {
        self.sessions_so_far.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Waits until all sessions have ended.
    pub(crate) async fn wait_for_sessions(&self) {
        let mut sessions = self.sessions.subscribe();
        // The sender is a field of `self`, so the channel cannot be closed here.
        let _open = sessions.wait_for(|sessions| *sessions == 0).await;
    }

    /// Enters a phase, and tells all sessions.
    pub(crate) fn enter_phase(&self, phase: CirclePhase) {
        self.phase.send_replace(phase);
        self.admission.connections.wake_sessions();
    }

    /// Tells other processes who has the store open, if the circle has one.
    pub(crate) fn describe_store_holder(&self, address: SocketAddr) {
        if let Some(store) = &self.store {
            store.describe_holder(&self.name, address);
        }
    }

    /// The hub of the circle's subscriptions, if the circle has a store.
    pub(crate) fn event_hub(&self) -> Option<&EventHub> {
        self.store.as_ref().map(|store| &store.events)
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.phase.borrow() != CirclePhase::Open
    }
}

/// The count of one session.
#[derive(Debug)]
pub(crate) struct SessionGuard {
    circle: Arc<Circle>,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.circle.sessions.send_modify(|sessions| *sessions -= 1);
    }
}
