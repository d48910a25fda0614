//! The settings that can change while a circle runs.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use keys::Authority;
use protocol::Limits;

use super::worker_pool::WorkerPool;
use crate::{
    circle_functions::{Contracts, Generation},
    rights::Rights,
    tls::TlsCertificate,
};

/// The limits that a connection keeps from its start, and an environment from its creation. This type holds no process,
/// so an old connection does not keep an old fork server alive.
#[derive(Debug, Clone)]
pub(crate) struct SessionLimits {
    pub(crate) values: Limits,
    pub(crate) module_names: Vec<String>,
    /// The functions of the circle that plays can call, by their numbers after those of the host functions.
    pub(crate) functions: Vec<Arc<str>>,
}

impl SessionLimits {
    /// Returns the maximum size of a message in bytes.
    pub(crate) fn max_message(&self) -> usize {
        usize::try_from(self.values.message_kib.saturating_mul(1024)).unwrap_or(usize::MAX)
    }
}

/// The current settings of a circle.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) description: Option<String>,
    /// Who may do what.
    pub(crate) rights: Arc<Rights>,
    pub(crate) hosts: BTreeSet<Authority>,
    pub(crate) origins: BTreeSet<String>,
    /// In their canonical form.
    pub(crate) trusted_proxies: BTreeSet<IpAddr>,
    /// Whether browsers get the web console.
    pub(crate) has_console: bool,
    /// The certificate of new connections; `None` without TLS.
    pub(crate) tls: Option<TlsCertificate>,
    pub(crate) limits: Arc<SessionLimits>,
    pub(crate) workers: Arc<WorkerPool>,
    /// The functions of the circle, if it has any.
    pub(crate) functions: Option<Arc<Generation>>,
    /// The contracts by role, with these functions and rights.
    pub(crate) contracts: Arc<Contracts>,
}
