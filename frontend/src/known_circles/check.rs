//! The check that a client makes of each circle that it connects to, before anything is signed, sent or played.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use client_ws::{CircleUrl, CircleWsClientBuilder, ClientError, Identity};
use keys::{Authority, PublicKey};
use launcher::{State, place::Place};

use super::{
    KnownCircles, KnownCirclesError,
    decision::{Decision, Encounter, Refusal, ShownIdentity, decide},
};
use crate::{
    config,
    connect::Choice,
    error::{CliError, Parts},
    supervisor::{self, Directories},
};

/// How often, and how far apart, the supervisor is asked about a circle that it has just started: the circle accepts
/// connections a moment before its supervisor knows.
const STARTING_TRIES: usize = 40;
const STARTING_PAUSE: Duration = Duration::from_millis(50);

/// Decides about the identities of the circles that one client connects to. Clones share their notes.
#[derive(Debug, Clone)]
pub struct IdentityCheck {
    user: User,
    /// The circles.json that the user named.
    config: Option<PathBuf>,
    accepts_ephemeral: Arc<AtomicBool>,
    /// Whether the user said how the circle knows itself: the authority says nothing about where the circle is.
    is_tunnel: bool,
    records: Records,
    supervised: Supervised,
    notes: IdentityNotes,
}

/// Where a user's known circles and supervisors are.
#[derive(Debug, Clone)]
pub struct User {
    /// The known circles; none where the user has no home directory.
    pub known_circles: Option<KnownCircles>,
    /// The directories of this program.
    pub directories: Directories,
}

impl User {
    /// The user who runs this program.
    pub fn of_process() -> Self {
        let known_circles = KnownCircles::open_default().ok();
        Self { known_circles, directories: supervisor::directories_as_they_are() }
    }
}

/// What a check does with known circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Records {
    /// Compares with them, and adds to them.
    Kept,
    /// Compares with them.
    Read,
    /// Leaves them alone.
    Unused,
}

/// What the supervisor says of a circle's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervised {
    /// The check asks it.
    Unasked,
    /// The identity of a circle that it runs, and nothing of others.
    Said(Option<PublicKey>),
}

/// What a check has to say to the user.
#[derive(Debug, Clone, Default)]
pub struct IdentityNotes(Arc<Mutex<Vec<IdentityNote>>>);

/// One thing that a check has to say to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityNote {
    /// The circle is new to this user.
    FirstUse(String),
    /// The circle should be looked at.
    Warning(String),
}

/// The reason for which a check refuses a circle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The identity is not the right one, or says nothing.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The known circles cannot be read, so the identity cannot be compared.
    #[error(transparent)]
    KnownCircles(#[from] KnownCirclesError),
}

impl IdentityNote {
    /// The sentence.
    pub fn text(&self) -> &str {
        match self {
            Self::FirstUse(text) | Self::Warning(text) => text,
        }
    }
}

impl IdentityNotes {
    /// What has been said since this was called last.
    pub fn take(&self) -> Vec<IdentityNote> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, note: IdentityNote) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}

impl IdentityError {
    /// Whether an error is the refusal of an identity that ends with the circle's process, which the user can accept.
    pub fn is_of_ephemeral(error: &CliError) -> bool {
        let CliError::Client { error: ClientError::IdentityRefused(error), .. } = error else { return false };
        matches!(error.downcast_ref(), Some(Self::Refused(refusal)) if matches!(**refusal, Refusal::Ephemeral { .. }))
    }

    /// What failed, why, and what to do.
    pub fn parts(&self) -> Parts {
        match self {
            Self::Refused(refusal) => refusal.parts(),
            Self::KnownCircles(error) => CliError::from(error).parts(),
        }
    }

    /// As `docs/` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 4,
            Self::KnownCircles(error) => CliError::from(error).exit_code(),
        }
    }
}

impl IdentityCheck {
    /// The check of a client for which the user chose so much, and perhaps a circles.json.
    pub fn new(user: User, choice: &Choice, config: Option<&Path>) -> Self {
        Self {
            user,
            config: config.map(Path::to_owned),
            accepts_ephemeral: Arc::new(AtomicBool::new(choice.accepts_ephemeral)),
            is_tunnel: choice.authority.is_some(),
            records: Records::Kept,
            supervised: Supervised::Unasked,
            notes: IdentityNotes::default(),
        }
    }

    /// The check of a circle that this program starts for itself: known circles say nothing about it.
    #[must_use]
    pub fn of_own_circle() -> Self {
        Self { records: Records::Unused, ..Self::new(User::of_process(), &Choice::default(), None) }
    }

    /// The check without additions to the known circles.
    #[must_use]
    pub fn without_recording(self) -> Self {
        Self { records: Records::Read, ..self }
    }

    /// The check with what the supervisor has said already.
    #[must_use]
    pub fn with_supervised(self, supervised: Supervised) -> Self {
        Self { supervised, ..self }
    }

    /// Accepts an identity that ends with the circle's process from now on, wherever the circle is.
    pub fn accept_ephemeral(&self) {
        self.accepts_ephemeral.store(true, Ordering::Relaxed);
    }

    /// The notes of this check.
    pub fn notes(&self) -> IdentityNotes {
        self.notes.clone()
    }

    /// Has a client make this check.
    pub fn attach(self, builder: CircleWsClientBuilder) -> CircleWsClientBuilder {
        builder.check_identity(move |authority, identity| {
            let check = self.clone();
            async move { check.check(authority, identity).await }
        })
    }

    async fn check(self, authority: Authority, identity: Identity) -> Result<(), IdentityError> {
        let supervised = match self.supervised {
            Supervised::Said(said) => said,
            Supervised::Unasked if self.records == Records::Unused || self.is_tunnel => None,
            Supervised::Unasked => supervised(&self.user.directories, self.config.as_deref(), &authority).await,
        };
        let judged = tokio::task::spawn_blocking(move || self.judge(&authority, identity, supervised));
        // It is gone only where the runtime ends.
        judged.await.unwrap_or(Ok(()))
    }

    /// Reads and writes the known circles.
    fn judge(
        &self,
        authority: &Authority,
        identity: Identity,
        supervised: Option<PublicKey>,
    ) -> Result<(), IdentityError> {
        let circles = self.user.known_circles.as_ref().filter(|_| self.records != Records::Unused);
        let known = match circles {
            Some(circles) if supervised.is_none() => circles.get(authority)?,
            _ => None,
        };
        let Identity { public_key, is_persistent } = identity;
        let decision = decide(&Encounter {
            authority,
            shown: ShownIdentity { public_key, is_persistent },
            known,
            supervised,
            is_loopback: authority.is_loopback() && !self.is_tunnel,
            accepts_ephemeral: self.accepts_ephemeral.load(Ordering::Relaxed),
            is_port_of_system: self.records == Records::Unused,
        });
        match decision {
            Decision::Accept => {}
            Decision::Warn(text) => self.notes.add(IdentityNote::Warning(text)),
            Decision::Refuse(refusal) => return Err(IdentityError::Refused(refusal.into())),
            Decision::AcceptAndRemember(_) if self.records == Records::Read => {}
            Decision::AcceptAndRemember(text) => match circles.map(|circles| circles.remember(authority, public_key)) {
                Some(Ok(())) => self.notes.add(IdentityNote::FirstUse(text)),
                // Another client has met another circle there in the meantime.
                Some(Err(error @ KnownCirclesError::Other { .. })) => return Err(error.into()),
                Some(Err(error)) => self.notes.add(not_remembered(authority, public_key, &error)),
                None => self.notes.add(not_remembered(authority, public_key, &KnownCirclesError::NoHome)),
            },
        }
        Ok(())
    }
}

fn not_remembered(authority: &Authority, identity: PublicKey, error: &KnownCirclesError) -> IdentityNote {
    IdentityNote::Warning(format!("the identity {identity} of the circle at {authority} is not remembered: {error}"))
}

/// The identity that the supervisor of the user's circles.json says that its circle at this authority has.
async fn supervised(directories: &Directories, config: Option<&Path>, authority: &Authority) -> Option<PublicKey> {
    let path = config::path(config).ok()?;
    let place = Place::as_it_is(&path, &directories.run, &directories.state).ok()?;
    for _ in 0..STARTING_TRIES {
        let (_, statuses) = supervisor::answering(&place).await.ok()??;
        let status = statuses.circles.into_iter().find(|status| {
            CircleUrl::parse(&status.url).is_ok_and(|url| normal(url.authority()) == normal(authority))
        })?;
        if status.state != State::Starting {
            return status.identity?.parse().ok();
        }
        tokio::time::sleep(STARTING_PAUSE).await;
    }
    None
}

/// The authority with one name for the three of loopback: a circle there has the same port on both addresses.
fn normal(authority: &Authority) -> String {
    let text = authority.as_str();
    let local = ["127.0.0.1", "[::1]", "localhost"]
        .iter()
        .find_map(|host| text.strip_prefix(host).filter(|rest| rest.is_empty() || rest.starts_with(':')));
    local.map_or_else(|| text.to_owned(), |port| format!("localhost{port}"))
}

#[cfg(test)]
mod tests {
    use keys::KeyPair;
    use tempfile::TempDir;

    use super::*;
    use crate::destination::Destination;

    fn identity() -> Identity {
        Identity { public_key: KeyPair::generate().expect("random bytes").public_key(), is_persistent: true }
    }

    /// A user of this test, and the directory of the user's known circles.
    fn user() -> (User, TempDir) {
        let root = tempfile::tempdir().expect("a directory");
        let known_circles = Some(KnownCircles::at(root.path().join("circles")));
        let [run, state] = ["run", "state"].map(|name| root.path().join(name));
        (User { known_circles, directories: Directories { run, state } }, root)
    }

    #[test]
    fn first_identity_is_remembered_and_another_one_refused() {
        let (user, _root) = user();
        let circles = || user.known_circles.clone().expect("they are there");
        let (authority, first) = ("127.0.0.1:9001".parse().expect("an authority"), identity());
        let check = IdentityCheck::new(user.clone(), &Choice::default(), None);
        check.clone().without_recording().judge(&authority, first, None).expect("it is new");
        assert_eq!((check.notes().take(), circles().get(&authority).expect("read")), (Vec::new(), None));
        check.judge(&authority, first, None).expect("it is new");
        assert!(matches!(&check.notes().take()[..], [IdentityNote::FirstUse(_)]));
        check.judge(&authority, first, None).expect("it is known");
        assert_eq!(check.notes().take(), []);
        let error = check.judge(&authority, identity(), None).expect_err("it is another");
        assert_eq!((error.exit_code(), &*error.parts().what), (4, "will not use the circle at 127.0.0.1:9001"));
        // What the supervisor says stands above what is known, and is not recorded.
        let own = identity();
        check.judge(&authority, own, Some(own.public_key)).expect("it is the user's own");
        check.judge(&authority, first, Some(own.public_key)).expect_err("it is not the user's own");
        assert_eq!(circles().get(&authority).expect("read"), Some(first.public_key));
        // Nothing is recorded about a circle that the program starts for itself.
        let own = IdentityCheck { user: user.clone(), ..IdentityCheck::of_own_circle() };
        own.judge(&authority, identity(), None).expect("it is its own");
    }

    #[test]
    fn identity_that_cannot_be_remembered_is_a_warning() {
        let (authority, shown) = ("127.0.0.1:9001".parse().expect("an authority"), identity());
        let (user, _root) = user();
        let homeless = User { known_circles: None, ..user };
        let check = IdentityCheck::new(homeless, &Choice::default(), None);
        check.judge(&authority, shown, None).expect("there is no place for it");
        assert!(matches!(&check.notes().take()[..], [IdentityNote::Warning(_)]));
    }

    #[test]
    fn tunnel_to_a_loopback_authority_is_not_loopback() {
        let (user, _root) = user();
        let authority: Authority = "127.0.0.1:9001".parse().expect("an authority");
        let ephemeral = Identity { is_persistent: false, ..identity() };
        let through = |authority: Option<Authority>| {
            let check = IdentityCheck::new(user.clone(), &Choice { authority, ..Choice::default() }, None);
            check.judge(&"127.0.0.1:9001".parse().expect("an authority"), ephemeral, None)
        };
        through(None).expect("it is on this machine");
        let refused = through(Some(authority.clone())).expect_err("it is elsewhere");
        let place = Destination::address("9001", "ws://127.0.0.1:9001".into());
        let error = CliError::Client { place, error: ClientError::IdentityRefused(refused.into()) };
        assert!(IdentityError::is_of_ephemeral(&error));
        let check =
            IdentityCheck::new(user.clone(), &Choice { authority: Some(authority.clone()), ..Choice::default() }, None);
        check.accept_ephemeral();
        check.judge(&authority, ephemeral, None).expect("the user accepts it");
    }

    #[test]
    fn loopback_has_one_name_and_its_other_addresses_have_theirs() {
        let name = |text: &str| normal(&text.parse().expect("an authority"));
        for text in ["127.0.0.1:9001", "[::1]:9001", "localhost:9001"] {
            assert_eq!(name(text), "localhost:9001");
        }
        assert_eq!((name("127.0.0.1"), name("[::1]")), ("localhost".into(), "localhost".into()));
        for text in ["127.0.0.2:9001", "127.0.0.11:9001", "localhost.example:9001"] {
            assert_eq!(name(text), text);
        }
    }
}
