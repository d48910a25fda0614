//! What may change of a circle while it runs.

use std::{collections::BTreeSet, io, sync::Arc};

use keys::{Authority, PublicKey};
use protocol::Limits;

use super::{Circle, Phase, startup_check, worker_pool::WorkerSource};

/// What a connection keeps from its beginning, and an environment from when it was made. It holds no process.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) limits: Limits,
    pub(crate) module_names: Vec<String>,
}

/// As the circle was described last.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) description: Option<String>,
    pub(crate) members: BTreeSet<PublicKey>,
    pub(crate) hosts: BTreeSet<Authority>,
    pub(crate) origins: BTreeSet<String>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) workers: Arc<WorkerSource>,
    /// Of the modules, as they were when the circle was made.
    pub(crate) modules_digest: u64,
}

/// Why a circle stays as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReconfigureError {
    /// This cannot change while it runs.
    #[error("{what} cannot change while the circle runs")]
    Fixed {
        /// What it is.
        what: &'static str,
    },
    /// It ends.
    #[error("the circle is shutting down")]
    ShuttingDown,
    /// No worker can be used with it; [`InvalidData`](io::ErrorKind::InvalidData) where the init script fails.
    #[error(transparent)]
    Worker(#[from] io::Error),
}

impl Circle {
    /// Becomes as `new` was described, without losing a connection; an error changes nothing. To be called on a clone of the
    /// `Arc` that was handed to [`run`](crate::run).
    ///
    /// At once: the description, hosts, origins, and members: sessions of a key that is none any more are closed with 1008.
    /// For whatever is wanted from then on: the circle's bounds (`connections`, `workers`, `running_plays`, …). For new
    /// connections: what bounds messages and queues. For new environments, those that a `reset` makes included: all other
    /// limits, the init script and modules. Name, access, sandbox, workers and host modules cannot change; the
    /// grace stays, too. Needs the same runtime as [`run`](crate::run).
    pub async fn reconfigure(&self, new: Self) -> Result<(), ReconfigureError> {
        let before = self.settings();
        let mut settings = Settings::clone(&new.settings());
        let (setup, setup_before) = (&settings.workers.setup, &before.workers.setup);
        let fixed = [
            ("the name", self.name == new.name),
            ("the access", self.access == new.access),
            ("the sandbox", self.sandbox == new.sandbox),
            ("what evaluates scripts", settings.workers.home == before.workers.home),
            ("what host modules offer", setup.host == setup_before.host),
        ];
        if let Some((what, _)) = fixed.into_iter().find(|(_, is_same)| !is_same) {
            return Err(ReconfigureError::Fixed { what });
        }
        if setup == setup_before && settings.modules_digest == before.modules_digest {
            // What workers are made from is the same: no other template.
            settings.workers = before.workers.clone();
        } else {
            startup_check::check(&new).await?;
        }
        if *self.phase.borrow() != Phase::Open {
            return Err(ReconfigureError::ShuttingDown);
        }
        let limits = &settings.terms.limits;
        self.admission.apply(limits);
        self.running_plays.set_max(limits.running_plays, limits.running_per_caller.unwrap_or(limits.running_plays));
        self.host.running.set(limits);
        self.settings.send_replace(Arc::new(settings));
        tracing::info!("reconfigured");
        Ok(())
    }

    /// As they are now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }
}
