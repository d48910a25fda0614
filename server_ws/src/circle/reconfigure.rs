//! Reconfiguration of a running circle.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use functions::roles::{AccessControl, AccessDefinition, RoleFault};
use keys::PublicKey;
use protocol::methods::Access;

use super::{Circle, CirclePhase, settings::Settings, startup_check};
use crate::rights::{self, Rights};
#[cfg(feature = "tls")]
use crate::tls::TlsCertificate;

const TLS: &str = "whether the circle serves TLS";
const ROLES: &str = "whether the circle has roles";

/// The error of [`Circle::reconfigure`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReconfigureError {
    /// This setting cannot change while the circle runs.
    #[error("{what} cannot change while the circle runs: restart the circle")]
    Fixed {
        /// The setting.
        what: &'static str,
    },
    /// The roles or the members are invalid.
    #[error("invalid roles: {}", rights::list(.0))]
    Roles(Vec<RoleFault>),
    /// Anyone could play, on an address that is not loopback.
    #[error(
        "anyone could play, and the circle serves on an address that is not loopback: give anyone a role that may not \
         play, or confirm with CircleBuilder::allow_open(true)"
    )]
    Open,
    /// The circle is shutting down.
    #[error("the circle is shutting down")]
    ShuttingDown,
    /// The startup check failed; [`InvalidData`](io::ErrorKind::InvalidData) if the init script failed.
    #[error(transparent)]
    Worker(#[from] io::Error),
}

impl Circle {
    /// Sets the keys that [`Access::Members`](crate::Access::Members) admits. The circle closes sessions whose key is no
    /// longer a member with 1008.
    ///
    /// # Errors
    ///
    /// [`Fixed`](ReconfigureError::Fixed) if the circle has roles: use [`set_roles`](Self::set_roles).
    pub fn set_members(&self, members: impl IntoIterator<Item = PublicKey>) -> Result<(), ReconfigureError> {
        let rights = match &*self.settings.borrow().rights {
            Rights::Access { access, .. } => Rights::of_access(*access, members.into_iter().collect()),
            Rights::Roles { .. } => return Err(ReconfigureError::Fixed { what: "the list of members beside roles" }),
        };
        self.change_settings(|settings| settings.rights = Arc::new(rights));
        Ok(())
    }

    /// Sets the roles and who has them, for a circle that was built with [`roles`](crate::CircleBuilder::roles). A change
    /// holds from the next request. The circle closes sessions whose key has no role any more with 1008.
    ///
    /// # Errors
    ///
    /// [`Fixed`](ReconfigureError::Fixed) if the circle has no roles, [`Roles`](ReconfigureError::Roles) if the definition
    /// is invalid, [`Open`](ReconfigureError::Open) if anyone could play on an address that is not loopback; nothing has
    /// changed then.
    pub fn set_roles(&self, definition: AccessDefinition<PublicKey>) -> Result<(), ReconfigureError> {
        if !self.settings.borrow().rights.have_roles() {
            return Err(ReconfigureError::Fixed { what: ROLES });
        }
        let rights = Rights::of_roles(AccessControl::new(definition).map_err(ReconfigureError::Roles)?);
        self.check_access(&rights, self.beyond_loopback.allow_open.load(Ordering::Relaxed))?;
        self.admission.connections.set_needs_key(!rights.admits_anonymous());
        self.admission.connections.apply(&self.settings.borrow().limits.values);
        self.change_settings(|settings| settings.rights = Arc::new(rights));
        Ok(())
    }

    /// Sets the certificate of new connections, for a circle that was built with [`tls`](crate::CircleBuilder::tls).
    ///
    /// # Errors
    ///
    /// [`Fixed`](ReconfigureError::Fixed) if the circle does not serve TLS.
    #[cfg(feature = "tls")]
    pub fn set_certificate(&self, certificate: TlsCertificate) -> Result<(), ReconfigureError> {
        if self.settings.borrow().tls.is_none() {
            return Err(ReconfigureError::Fixed { what: TLS });
        }
        self.change_settings(|settings| settings.tls = Some(certificate));
        Ok(())
    }

    /// Returns the certificate of new connections, if the circle serves TLS.
    #[cfg(feature = "tls")]
    pub fn certificate(&self) -> Option<TlsCertificate> {
        self.settings.borrow().tls.clone()
    }

    /// Checks that only a program that has confirmed it lets anyone play on an address that is not loopback.
    fn check_access(&self, rights: &Rights, allow_open: bool) -> Result<(), ReconfigureError> {
        let is_reached = self.beyond_loopback.is_reached.load(Ordering::Relaxed);
        if is_reached && rights.access() == Access::Open && !allow_open {
            return Err(ReconfigureError::Open);
        }
        Ok(())
    }

    fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        self.settings.send_modify(|settings| {
            let settings = Arc::make_mut(settings);
            change(settings);
            settings.contracts = Arc::default();
        });
        self.admission.connections.wake_sessions();
    }

    /// Applies the settings of `new` without losing a connection. If this fails, the circle stays unchanged. Call it on
    /// a clone of the `Arc` that was passed to [`run`](crate::run), on the same runtime.
    ///
    /// The changes take effect at different times:
    ///
    /// - At once: the description, hosts, origins, trusted proxies, the web console, members, and the certificate of new
    ///   connections. The circle closes
    ///   sessions whose key is no longer a member with 1008.
    /// - For later admissions: the bounds of the circle (`connections`, `workers`, `running_plays`, `per_minute`, …).
    /// - For new connections: the limits of messages and queues.
    /// - For new environments, including those after a `reset`: all other limits, the init script and the modules.
    ///
    /// The circle keeps its store and the limits of the store; that of `new`, which may be
    /// [in memory](crate::StoreLocation::Memory), is not used. The grace period, the code of host functions, and the functions of [`admit`](crate::CircleBuilder::admit) and
    /// [`audit`](crate::CircleBuilder::audit) do not change.
    ///
    /// # Errors
    ///
    /// [`Fixed`](ReconfigureError::Fixed) if the name, access, sandbox, workers, host modules the
    /// use of TLS or of a store differ; [`Open`](ReconfigureError::Open) if anyone could play on an address that is not loopback;
    /// [`ShuttingDown`](ReconfigureError::ShuttingDown); or [`Worker`](ReconfigureError::Worker) if the startup check
    /// of the new settings fails.
    pub async fn reconfigure(&self, new: Self) -> Result<(), ReconfigureError> {
        let before = self.settings();
        let mut settings = Settings::clone(&new.settings());
        let (setup, setup_before) = (&settings.workers.setup, &before.workers.setup);
        let fixed = [
            ("the name", self.name == new.name),
            (ROLES, settings.rights.have_roles() == before.rights.have_roles()),
            ("the access", settings.rights.have_roles() || settings.rights.access() == before.rights.access()),
            ("the sandbox", self.sandbox == new.sandbox),
            ("the kind of workers", settings.workers.kind == before.workers.kind),
            (TLS, settings.tls.is_some() == before.tls.is_some()),
            ("the use of a store", new.store.is_some() == self.store.is_some()),
            ("the set of host functions", new.host.offered() == self.host.offered()),
            ("the set of functions of the program", new.host.own_names() == self.host.own_names()),
        ];
        if let Some((what, _)) = fixed.into_iter().find(|(_, is_same)| !is_same) {
            return Err(ReconfigureError::Fixed { what });
        }
        let allow_open = new.beyond_loopback.allow_open.load(Ordering::Relaxed);
        self.check_access(&settings.rights, allow_open)?;
        let mut are_functions_checked = false;
        if setup == setup_before {
            // The setup of workers is the same, so the fork server can stay.
            settings.workers = before.workers.clone();
        } else {
            startup_check::check(&new).await?;
            are_functions_checked = true;
        }
        // Calls that run end on the generation on which they began.
        if let (Some(functions), Some(before)) = (&settings.functions, &before.functions)
            && functions.is_same(before)
        {
            settings.functions = Some(before.clone());
        } else if let Some(functions) = settings.functions.as_ref().filter(|_| !are_functions_checked) {
            startup_check::check_functions(functions).await?;
        }
        if *self.phase.borrow() != CirclePhase::Open {
            return Err(ReconfigureError::ShuttingDown);
        }
        if self.store.is_some() {
            Arc::make_mut(&mut settings.limits).values.set_store_limits(&before.limits.values);
        }
        let limits = &settings.limits.values;
        if let Some(functions) = &settings.functions {
            functions.apply(limits);
        }
        self.beyond_loopback.allow_open.store(allow_open, Ordering::Relaxed);
        self.admission.connections.set_needs_key(!settings.rights.admits_anonymous());
        self.admission.apply(limits);
        self.running_calls.set_max(limits.running_calls, limits.calls_per_caller.unwrap_or(limits.running_calls));
        self.running_plays.set_max(limits.running_plays, limits.running_per_caller.unwrap_or(limits.running_plays));
        self.host.tasks.apply(limits);
        self.rate_limit.apply(limits);
        self.settings.send_replace(Arc::new(settings));
        self.admission.connections.wake_sessions();
        tracing::info!("reconfigured");
        Ok(())
    }
}
