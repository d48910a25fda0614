//! Reconfiguring a circle while it runs.

use std::{io, sync::Arc};

use super::{Circle, CirclePhase, settings::Settings, startup_check};

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
    /// At once: the description, hosts, origins, trusted proxies, and members: sessions of a key that is none any more are closed
    /// with 1008.
    /// For whatever is wanted from then on: the circle's bounds (`connections`, `workers`, `running_plays`, `per_minute`, …). For new
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
            ("what evaluates scripts", settings.workers.kind == before.workers.kind),
            ("what host modules offer", setup.host == setup_before.host),
        ];
        if let Some((what, _)) = fixed.into_iter().find(|(_, is_same)| !is_same) {
            return Err(ReconfigureError::Fixed { what });
        }
        if setup == setup_before && settings.modules_digest == before.modules_digest {
            // Workers are made from the same: the fork server can stay.
            settings.workers = before.workers.clone();
        } else {
            startup_check::check(&new).await?;
        }
        if *self.phase.borrow() != CirclePhase::Open {
            return Err(ReconfigureError::ShuttingDown);
        }
        let limits = &settings.limits.values;
        self.admission.apply(limits);
        self.running_plays.set_max(limits.running_plays, limits.running_per_caller.unwrap_or(limits.running_plays));
        self.host.tasks.apply(limits);
        self.rate_limit.apply(limits);
        self.settings.send_replace(Arc::new(settings));
        tracing::info!("reconfigured");
        Ok(())
    }
}
