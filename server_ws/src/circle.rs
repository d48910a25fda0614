//! One circle: what all of its connections share.
//!
//! Three files stand above this one: `builder` makes a circle, `startup_check` tries one of its workers before it
//! serves, and `reconfigure` changes the settings of a circle that runs. Three stand below: `identity` holds the
//! circle's own key, `settings` what can change, and `worker_pool` the processes that scripts run in.

pub(crate) mod build_error;
pub(crate) mod builder;
mod identity;
pub(crate) mod reconfigure;
mod settings;
pub(crate) mod startup_check;
mod worker_pool;

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use keys::PublicKey;
use protocol::methods::Access;
use tokio::sync::watch;
use worker::Layer;

use crate::{
    audit::Auditor,
    host::FunctionTable,
    log_limit::LogLimit,
    metrics::{Metrics, Observer},
    quota::{Admission, CallerSemaphores, FairSemaphore, LossRate, RateLimit},
};
use identity::CircleIdentity;
pub(crate) use settings::{SessionLimits, Settings};

/// Whether a circle serves where its scripts cannot be kept from the system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sandbox {
    /// It does not: [`run`](crate::run) is an error.
    Required,
    /// It does, and `describe` says what holds.
    #[default]
    BestEffort,
}

/// The phase of a circle that serves. Phases only go forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CirclePhase {
    /// The circle takes connections and plays.
    Open,
    /// The circle takes neither; running plays go on.
    Draining,
    /// The grace period is over: running plays are stopped.
    Ending,
}

/// What the program chose for an address that is not loopback.
#[derive(Debug, Clone, Copy)]
struct BeyondLoopback {
    /// Whether the circle is not open, or may be.
    is_open_allowed: bool,
    /// Whether the program said which sandbox it wants.
    is_sandbox_chosen: bool,
}

/// One circle, ready to [`run`](crate::run).
#[derive(Debug)]
pub struct Circle {
    pub(crate) name: String,
    pub(crate) identity: CircleIdentity,
    pub(crate) access: Access,
    beyond_loopback: BeyondLoopback,
    pub(crate) grace: Duration,
    pub(crate) settings: watch::Sender<Arc<Settings>>,
    pub(crate) admission: Admission,
    pub(crate) running_plays: FairSemaphore,
    /// Sessions whose queries are answered.
    pub(crate) running_queries: FairSemaphore,
    pub(crate) caller_semaphores: CallerSemaphores,
    pub(crate) rate_limit: RateLimit,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) host: FunctionTable,
    pub(crate) phase: watch::Sender<CirclePhase>,
    sessions: watch::Sender<usize>,
    sessions_so_far: AtomicU64,
    /// The layers of the workers' sandbox; empty until the startup check.
    pub(crate) layers: OnceLock<Vec<Layer>>,
    pub(crate) sandbox: Sandbox,
    /// Whether all that connect to `localhost` on the circle's port reach the circle; false until it serves.
    pub(crate) has_localhost: AtomicBool,
    pub(crate) auditor: Option<Auditor>,
    /// Lines of plays in the log.
    pub(crate) logged_plays: LogLimit,
    /// Lines of failed authentications in the log.
    pub(crate) logged_failures: LogLimit,
    /// The rate at which workers of each caller may crash.
    pub(crate) losses: LossRate,
    /// The limit of log lines about refused connections.
    pub(crate) logged_refusals: LogLimit,
}

impl Circle {
    /// The public key that the circle identifies itself with.
    pub fn identity(&self) -> PublicKey {
        self.identity.public_key()
    }

    /// Sees how it is. To be asked for before it is handed over to [`run`](crate::run).
    pub fn observer(&self) -> Observer {
        Observer(self.metrics.clone())
    }

    /// Checks that the circle may serve on this address. A default that is fine on loopback is none elsewhere.
    pub(crate) fn check_address(&self, address: IpAddr) -> io::Result<()> {
        if address.to_canonical().is_loopback() {
            return Ok(());
        }
        let why = if !self.beyond_loopback.is_open_allowed {
            "anyone who reaches that address could play: name CircleBuilder::members, choose another \
             CircleBuilder::access, or confirm with CircleBuilder::allow_open(true)"
        } else if !self.beyond_loopback.is_sandbox_chosen {
            "no sandbox was chosen for scripts of strangers: choose CircleBuilder::sandbox(Sandbox::Required), or \
             confirm with Sandbox::BestEffort"
        } else {
            return Ok(());
        };
        let message = format!("will not serve the circle '{}' on {address}: {why}", self.name);
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }

    /// The settings now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Whether a session may authenticate with this key.
    pub(crate) fn admits(&self, key: &PublicKey) -> bool {
        self.access != Access::Members || self.settings.borrow().members.contains(key)
    }

    /// Counts a session until the guard is dropped.
    pub(crate) fn count_session(self: &Arc<Self>) -> SessionGuard {
        self.sessions.send_modify(|sessions| *sessions += 1);
        SessionGuard { circle: self.clone() }
    }

    /// The number of a new session, by which the log tells sessions apart.
    pub(crate) fn next_session_number(&self) -> u64 {
        self.sessions_so_far.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Waits until no session is left.
    pub(crate) async fn wait_for_sessions(&self) {
        let mut sessions = self.sessions.subscribe();
        // The sender is `self`, so the channel cannot be closed here.
        let _open = sessions.wait_for(|sessions| *sessions == 0).await;
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
