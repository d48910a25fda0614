//! The identity check that a client makes at each connection, before it signs, sends or plays anything.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use client_ws::{CircleWsClientBuilder, ClientError, VerifiedIdentity};
use keys::{Authority, PublicKey, identity_file::IdentityFileError};

use super::{
    KnownCircles, KnownCirclesError,
    decision::{Decision, DecisionInput, IdentityRejection, Own, decide},
    own_circle::{self, OwnCircle},
};
use crate::{
    connect::ConnectOptions,
    error::{BUG_EXIT_CODE, CliError, ErrorParts},
    supervisor::{self, Directories},
    visible::visible,
};

/// The identity check of one client. Clones share their notes and the identities that they have seen.
#[derive(Debug, Clone)]
pub struct IdentityCheck {
    files: UserFiles,
    /// The circles.json that the user named.
    config: Option<PathBuf>,
    /// Whether the user named the circle's authority, which then does not tell where the circle is.
    is_tunnel: bool,
    mode: KnownCirclesMode,
    seen: Arc<Mutex<SeenIdentities>>,
    notes: IdentityNotes,
}

/// The files of a user: known circles, and the directories of supervisors.
#[derive(Debug, Clone)]
pub struct UserFiles {
    /// The known circles; `None` if the user has no home directory.
    pub known_circles: Option<KnownCircles>,
    /// The directories of the user's supervisors.
    pub directories: Directories,
}

impl UserFiles {
    /// Returns the files of the user who runs this program.
    pub fn for_current_user() -> Self {
        let known_circles = KnownCircles::open_default().ok();
        Self { known_circles, directories: supervisor::find_directories() }
    }
}

/// How a check uses the known circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownCirclesMode {
    /// Compares identities, and records new ones.
    ReadWrite,
    /// Compares identities only.
    ReadOnly,
    /// Does not use the known circles.
    Ignored,
}

/// The identities that the sessions of one client have seen and accepted.
#[derive(Debug, Default)]
struct SeenIdentities {
    /// The identity of the last connection.
    last: Option<VerifiedIdentity>,
    /// The accepted ephemeral identities of other machines.
    accepted: AcceptedEphemeral,
    /// The ephemeral identity that the check refused last.
    refused: Option<PublicKey>,
    /// Whether the user was warned that the connection is not encrypted.
    is_warned: bool,
}

/// The ephemeral identities of other machines that the user accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum AcceptedEphemeral {
    #[default]
    None,
    /// The one that the user accepted when asked.
    One(PublicKey),
    Any,
}

/// The notes of a check for the user.
#[derive(Debug, Clone, Default)]
pub struct IdentityNotes(Arc<Mutex<Vec<IdentityNote>>>);

/// A note of a check for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityNote {
    /// The circle is new to this user.
    FirstUse(String),
    /// Something about the circle's identity deserves attention.
    Warning(String),
}

/// Why a check refuses a circle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The identity is not the expected one, or is ephemeral.
    #[error("{0}")]
    Refused(Box<IdentityRejection>),
    /// The known circles cannot be read, so the identity cannot be compared.
    #[error(transparent)]
    KnownCircles(#[from] KnownCirclesError),
    /// The file with the identity of the user's own circle cannot be read.
    #[error(transparent)]
    OwnIdentity(#[from] IdentityFileError),
    /// The check panicked.
    #[error("the identity check failed unexpectedly")]
    CheckAborted,
}

impl IdentityNote {
    /// The text of the note.
    pub fn text(&self) -> &str {
        match self {
            Self::FirstUse(text) | Self::Warning(text) => text,
        }
    }
}

impl IdentityNotes {
    /// Takes the notes since the last call.
    pub fn take(&self) -> Vec<IdentityNote> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, note: IdentityNote) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}

impl IdentityError {
    /// Returns the ephemeral identity that the error is about, which the user can accept.
    pub fn refused_ephemeral(error: &CliError) -> Option<PublicKey> {
        let CliError::Client { error: ClientError::IdentityRefused(error), .. } = error else { return None };
        match error.downcast_ref()? {
            Self::Refused(refusal) => match **refusal {
                IdentityRejection::Ephemeral { shown, .. } => Some(shown),
                _ => None,
            },
            _ => None,
        }
    }

    /// The parts of the message.
    pub fn parts(&self) -> ErrorParts {
        match self {
            Self::Refused(refusal) => refusal.parts(),
            Self::KnownCircles(error) => CliError::from(error).parts(),
            Self::OwnIdentity(error) => CliError::from(error).parts(),
            Self::CheckAborted => {
                ErrorParts { what: self.to_string(), why: String::new(), fix: "please report it".into() }
            }
        }
    }

    /// The exit code of the error, as `docs/operating.md` lists it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 4,
            Self::KnownCircles(error) => CliError::from(error).exit_code(),
            Self::OwnIdentity(error) => CliError::from(error).exit_code(),
            Self::CheckAborted => BUG_EXIT_CODE,
        }
    }
}

impl IdentityCheck {
    /// Returns the check for a client with the user's options and the circles.json that `--config` names.
    pub fn new(user: UserFiles, choice: &ConnectOptions, config: Option<&Path>) -> Self {
        let accepted = if choice.accepts_ephemeral { AcceptedEphemeral::Any } else { AcceptedEphemeral::None };
        Self {
            files: user,
            config: config.map(Path::to_owned),
            is_tunnel: choice.authority.is_some(),
            mode: KnownCirclesMode::ReadWrite,
            seen: Arc::new(Mutex::new(SeenIdentities { accepted, ..SeenIdentities::default() })),
            notes: IdentityNotes::default(),
        }
    }

    /// Returns the check for a scratch circle, which is never among the known circles.
    #[must_use]
    pub fn for_scratch_circle() -> Self {
        Self {
            mode: KnownCirclesMode::Ignored,
            ..Self::new(UserFiles::for_current_user(), &ConnectOptions::default(), None)
        }
    }

    /// Returns the check without recording new identities.
    #[must_use]
    pub fn without_recording(self) -> Self {
        Self { mode: KnownCirclesMode::ReadOnly, ..self }
    }

    /// Accepts the ephemeral identity that the check refused last.
    pub fn accept_ephemeral(&self) {
        let mut seen = self.seen();
        if let Some(refused) = seen.refused {
            seen.accepted = AcceptedEphemeral::One(refused);
        }
    }

    /// Returns a handle to the notes of this check.
    pub fn notes(&self) -> IdentityNotes {
        self.notes.clone()
    }

    /// Adds a warning, once, that the connection to a URL is not encrypted.
    pub(crate) fn warn_of_plain_connection(&self, url: &str) {
        if !std::mem::replace(&mut self.seen().is_warned, true) {
            self.notes.add(IdentityNote::Warning(format!(
                "the connection to {} is not encrypted: anyone on the way can read and change everything; \
                 use wss://, or a tunnel with --authority",
                visible(url.trim_end_matches('/'))
            )));
        }
    }

    /// Adds this check to a client.
    pub(crate) fn attach(self, builder: CircleWsClientBuilder) -> CircleWsClientBuilder {
        builder.check_identity(move |authority, identity| {
            let check = self.clone();
            async move { check.check(authority, identity).await }
        })
    }

    async fn check(self, authority: Authority, identity: VerifiedIdentity) -> Result<(), IdentityError> {
        let own = self.find_own_identity(&authority, identity.public_key).await?;
        run_blocking(move || self.decide_and_record(&authority, identity, own)).await?
    }

    /// Finds the identity of the user's own circle at an authority, from circles.json, the identity file and the
    /// supervisor. An identity file that a supervisor has made settles it if it matches. If it does not match, the
    /// supervisor may know better: a circle with a rotated identity may be about to restart.
    async fn find_own_identity(&self, authority: &Authority, shown: PublicKey) -> Result<Own, IdentityError> {
        if self.mode == KnownCirclesMode::Ignored || self.is_tunnel {
            return Ok(Own::None);
        }
        let (directories, config) = (self.files.directories.clone(), self.config.clone());
        let target = authority.clone();
        let without_supervisor =
            match run_blocking(move || own_circle::find_in_config(&directories, config.as_deref(), &target)).await?? {
                OwnCircle::None => return Ok(Own::None),
                OwnCircle::Identity { key, is_private: true } if key == shown => return Ok(Own::Confirmed(key)),
                OwnCircle::Identity { key, .. } => Own::Stated(key),
                OwnCircle::Unstarted => Own::Unstarted,
                OwnCircle::Unknown => Own::None,
            };
        let supervised = own_circle::ask_supervisor(&self.files.directories, self.config.as_deref(), authority).await;
        Ok(match supervised {
            Some(supervised) if supervised == shown || matches!(without_supervisor, Own::None | Own::Unstarted) => {
                Own::Confirmed(supervised)
            }
            _ => without_supervisor,
        })
    }

    /// Decides about an identity, and records it in the known circles if it is new.
    fn decide_and_record(
        &self,
        authority: &Authority,
        identity: VerifiedIdentity,
        own: Own,
    ) -> Result<(), IdentityError> {
        let is_loopback = authority.is_loopback() && !self.is_tunnel;
        let circles = self.files.known_circles.as_ref().filter(|_| self.mode != KnownCirclesMode::Ignored);
        let known = match circles {
            Some(circles) if !matches!(own, Own::Confirmed(_)) => circles.get(authority)?,
            _ => None,
        };
        let public_key = identity.public_key;
        let decision = decide(&DecisionInput {
            authority,
            shown: identity,
            known,
            own,
            is_loopback,
            accepts_ephemeral: self.seen().accepts(public_key),
            is_system_assigned_port: self.mode == KnownCirclesMode::Ignored,
        });
        if let Decision::Refuse(refusal) = decision {
            if let IdentityRejection::Ephemeral { shown, .. } = refusal {
                self.seen().refused = Some(shown);
            }
            return Err(IdentityError::Refused(refusal.into()));
        }
        let is_own = matches!(own, Own::Stated(_) | Own::Confirmed(_));
        self.compare_with_last(authority, identity, is_own, is_loopback)?;
        match decision {
            Decision::Accept | Decision::Refuse(_) => {}
            Decision::Warn(text) => self.notes.add(IdentityNote::Warning(text)),
            Decision::AcceptAndRemember(_) if self.mode == KnownCirclesMode::ReadOnly => {}
            Decision::AcceptAndRemember(text) => match circles.map(|circles| circles.remember(authority, public_key)) {
                Some(Ok(())) => self.notes.add(IdentityNote::FirstUse(text)),
                // Another client recorded a different identity in the meantime.
                Some(Err(error @ KnownCirclesError::IdentityMismatch { .. })) => return Err(error.into()),
                Some(Err(error)) => self.notes.add(not_remembered_note(authority, public_key, &error)),
                None => self.notes.add(not_remembered_note(authority, public_key, &KnownCirclesError::NoHome)),
            },
        }
        self.seen().last = Some(identity);
        Ok(())
    }

    /// Refuses, once, a circle whose identity differs from the previous connection's. A new ephemeral identity on this
    /// machine is only a warning, because each restart of such a circle creates one.
    fn compare_with_last(
        &self,
        authority: &Authority,
        shown: VerifiedIdentity,
        is_own: bool,
        is_loopback: bool,
    ) -> Result<(), IdentityError> {
        let mut seen = self.seen();
        let Some(before) = seen.last.filter(|before| before.public_key != shown.public_key) else { return Ok(()) };
        if is_own || self.mode == KnownCirclesMode::Ignored {
            return Ok(());
        }
        let (authority, before_key, shown_key) = (authority.clone(), before.public_key, shown.public_key);
        if before.is_persistent || !is_loopback {
            seen.last = Some(shown);
            let refusal = IdentityRejection::Changed { authority, previous: before_key, shown: shown_key };
            return Err(IdentityError::Refused(refusal.into()));
        }
        if !shown.is_persistent {
            self.notes.add(IdentityNote::Warning(format!(
                "the circle at {authority} has a new identity: it was restarted, or another circle answers there"
            )));
        }
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, SeenIdentities> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeenIdentities {
    fn accepts(&self, identity: PublicKey) -> bool {
        match self.accepted {
            AcceptedEphemeral::None => false,
            AcceptedEphemeral::One(accepted) => accepted == identity,
            AcceptedEphemeral::Any => true,
        }
    }
}

/// Runs a blocking task. A panic in the task refuses the circle.
async fn run_blocking<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> Result<T, IdentityError> {
    tokio::task::spawn_blocking(task).await.map_err(|_| IdentityError::CheckAborted)
}

fn not_remembered_note(authority: &Authority, identity: PublicKey, error: &KnownCirclesError) -> IdentityNote {
    IdentityNote::Warning(format!(
        "cannot remember the identity {identity} of the circle at {authority}: {}",
        CliError::from(error).advice()
    ))
}

#[cfg(test)]
mod tests;
