//! The end of a play for the host modules that it called: the two phases of its transactions.

use std::{pin::pin, sync::Arc, task::Poll, time::Duration};

use store::{CommitError, OnceClaim, PendingCommit, Revision};
use tokio::{
    sync::{oneshot, watch},
    task::{JoinHandle, unconstrained},
    time::{Instant, sleep_until, timeout_at},
};

use super::store_calls::poll_once;
use crate::{
    circle::Circle,
    circle_store::RunTransaction,
    host::{self, ModuleInstance, PlayEnd},
    quota::Caller,
};

/// The time for the second phase, after which the circle answers the play without it.
const SECOND_PHASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a play whose script has succeeded fails at its end.
#[derive(Debug)]
pub(crate) enum EndError {
    /// A module refused. Contains the name of the module.
    Refused(String, host::Error),
    /// The modules have not prepared in time.
    Timeout,
    /// The circle shut down before the modules had prepared.
    ShutDown,
    /// The store has not committed.
    Commit(CommitError),
}

impl EndError {
    /// Returns the outcome of the play, for its modules.
    fn play_end(&self) -> PlayEnd {
        match self {
            Self::Refused(..) | Self::Commit(_) => PlayEnd::Failed,
            Self::Timeout => PlayEnd::Limited,
            Self::ShutDown => PlayEnd::ShutDown,
        }
    }
}

/// What the store records with the commit of a request that has `once`.
#[derive(Debug)]
pub(crate) struct OnceRecord {
    pub(crate) claim: OnceClaim,
    /// The result, as JSON.
    pub(crate) result: String,
}

/// What the store commits at the end of a run.
pub(super) struct RunCommit {
    pub(super) transaction: Arc<RunTransaction>,
    pub(super) record: Option<OnceRecord>,
}

impl RunCommit {
    /// Hands the transaction over. From then on, nothing stops the commit.
    async fn hand_over(self) -> Result<PendingCommit, EndError> {
        let Self { transaction, record } = self;
        let record = record.map(|OnceRecord { claim, result }| (claim, result.into_bytes()));
        transaction.hand_over(record).await.map_err(EndError::Commit)
    }

    async fn commit(self) -> Result<Revision, EndError> {
        self.hand_over().await?.await.map_err(EndError::Commit)
    }
}

/// The end of a run: that of its host modules with the commit of the store, or the commit alone.
pub(super) enum RunEnding {
    /// The store has the transaction.
    Commit(PendingCommit),
    /// The transaction could not be handed over.
    Failed(EndError),
    Modules(PlayEnding),
}

impl RunEnding {
    /// Starts the end of a run. `deadline` is that of the run if it has succeeded.
    pub(super) fn start(
        circle: &Arc<Circle>,
        modules: Vec<(usize, Arc<dyn ModuleInstance>)>,
        commit: Option<RunCommit>,
        end: PlayEnd,
        deadline: Option<Instant>,
    ) -> Self {
        match commit {
            Some(commit) if modules.is_empty() => {
                // Without modules, nothing has to run in a task of its own: each change of threads takes as long as a short
                // function.
                match poll_once(pin!(unconstrained(commit.hand_over()))) {
                    Poll::Ready(Ok(pending)) => Self::Commit(pending),
                    Poll::Ready(Err(error)) => Self::Failed(error),
                    // An operation that nobody waits for has the transaction, so the run has not succeeded.
                    Poll::Pending => Self::Failed(EndError::Commit(CommitError::Canceled)),
                }
            }
            commit => Self::Modules(PlayEnding::start(circle, modules, commit, end, deadline)),
        }
    }

    /// Waits for the end, and returns whether the run succeeds, with the revision of its commit. Cancel safe; call it only
    /// until it returns.
    pub(super) async fn wait(&mut self) -> Result<Option<Revision>, EndError> {
        match self {
            Self::Commit(pending) => pending.await.map(Some).map_err(EndError::Commit),
            Self::Failed(error) => Err(std::mem::replace(error, EndError::ShutDown)),
            Self::Modules(modules) => modules.wait().await,
        }
    }

    /// Shortens the wait, because the circle shuts down. A commit takes as long as the disk.
    pub(super) fn shut_down(&mut self) {
        if let Self::Modules(modules) = self {
            modules.shut_down();
        }
    }

    /// Lets the rest of the end run without the run.
    pub(super) fn detach(self, circle: &Circle, caller: Caller) {
        if let Self::Modules(modules) = self {
            modules.detach(circle, caller);
        }
    }
}

/// When the first phase ends without a result.
#[derive(Debug, Clone, Copy)]
struct FirstPhaseDeadline {
    at: Option<Instant>,
    is_shutdown: bool,
}

type Decision = Result<Option<Revision>, EndError>;

/// The end of a play, which runs in a task of its own.
pub(super) struct PlayEnding {
    task: JoinHandle<()>,
    /// The result of the first phase and of the commit, until it is there: the revision, if the store committed.
    decision: oneshot::Receiver<Decision>,
    decided: Option<Decision>,
    first_phase: watch::Sender<FirstPhaseDeadline>,
    /// When the play is answered without the second phase; `None` if the deadline of the play cannot be represented.
    second_phase: Option<Instant>,
}

impl PlayEnding {
    /// Starts the end of a play. `deadline` is that of the play if it has succeeded.
    fn start(
        circle: &Arc<Circle>,
        modules: Vec<(usize, Arc<dyn ModuleInstance>)>,
        commit: Option<RunCommit>,
        end: PlayEnd,
        deadline: Option<Instant>,
    ) -> Self {
        let (decide, decision) = oneshot::channel();
        let (first_phase, deadlines) = watch::channel(FirstPhaseDeadline { at: deadline, is_shutdown: false });
        let coordinator = Coordinator { circle: circle.clone(), modules, commit, deadlines };
        let task = circle.host.tasks.spawn(coordinator.run(end, decide));
        let soon = Instant::now() + SECOND_PHASE_TIMEOUT;
        let second_phase = if end.is_success() { deadline } else { Some(soon) };
        Self { task, decision, decided: None, first_phase, second_phase }
    }

    /// Waits for the end, and returns whether the play succeeds, with the revision of its commit. Cancel safe; call it only
    /// until it returns.
    async fn wait(&mut self) -> Result<Option<Revision>, EndError> {
        if self.decided.is_none() {
            // The task fails only when the program's runtime shuts down.
            let decided = (&mut self.decision).await.unwrap_or(Err(EndError::ShutDown));
            let soon = Instant::now() + SECOND_PHASE_TIMEOUT;
            self.second_phase = match (&decided, self.first_phase.borrow().is_shutdown) {
                // The play has succeeded, so its answer waits for the commits as long as it can.
                (Ok(_), false) => self.second_phase.map(|deadline| deadline.max(soon)),
                _ => Some(soon),
            };
            self.decided = Some(decided);
        }
        let ended = match self.second_phase {
            Some(deadline) => timeout_at(deadline, &mut self.task).await.is_ok(),
            None => (&mut self.task).await.is_ok(),
        };
        if !ended {
            tracing::warn!("host modules have not ended the transactions of a play in time");
        }
        self.decided.take().unwrap_or(Ok(None))
    }

    /// Shortens the wait, because the circle shuts down.
    fn shut_down(&mut self) {
        let soon = Instant::now() + SECOND_PHASE_TIMEOUT;
        let shorten = |deadline: Option<Instant>| deadline.map_or(soon, |deadline| deadline.min(soon));
        self.first_phase.send_modify(|deadline| {
            *deadline = FirstPhaseDeadline { at: Some(shorten(deadline.at)), is_shutdown: true };
        });
        self.second_phase = Some(shorten(self.second_phase));
    }

    /// Lets the rest of the end run without the play.
    fn detach(self, circle: &Circle, caller: Caller) {
        circle.host.tasks.detach(caller, self.task);
    }
}

/// Carries out the two phases.
struct Coordinator {
    circle: Arc<Circle>,
    /// The modules, by their index.
    modules: Vec<(usize, Arc<dyn ModuleInstance>)>,
    commit: Option<RunCommit>,
    deadlines: watch::Receiver<FirstPhaseDeadline>,
}

impl Coordinator {
    async fn run(mut self, end: PlayEnd, decide: oneshot::Sender<Decision>) {
        let prepared = if end.is_success() { self.prepare().await } else { Ok(()) };
        // Every module has prepared, and none has committed.
        let result = match (prepared, self.commit.take().filter(|_| end.is_success())) {
            (Ok(()), Some(commit)) => commit.commit().await.map(Some),
            (prepared, _) => prepared.map(|()| None),
        };
        let end = result.as_ref().err().map_or(end, EndError::play_end);
        let ends: Vec<_> =
            self.modules.into_iter().map(|(_, instance)| self.circle.host.tasks.spawn(instance.end(end))).collect();
        // The client may be gone.
        let _receiver_gone = decide.send(result);
        for end in ends {
            if let Err(error) = end.await {
                tracing::error!(%error, "host module panicked at the end of a play");
            }
        }
    }

    /// Prepares the modules, one after the other, until one refuses.
    async fn prepare(&mut self) -> Result<(), EndError> {
        let Self { circle, modules, deadlines, .. } = self;
        for (index, instance) in modules {
            // A task of its own runs to its end, and can panic.
            let preparation = circle.host.tasks.spawn(instance.clone().prepare());
            let prepared = tokio::select! {
                biased;
                prepared = preparation => prepared,
                error = expire(deadlines) => return Err(error),
            };
            let refused = |error| EndError::Refused(circle.host.modules[*index].offered().name.clone(), error);
            prepared
                .unwrap_or_else(|error| {
                    tracing::error!(%error, "host module panicked at the end of a play");
                    Err(host::Error::hidden())
                })
                .map_err(refused)?;
        }
        Ok(())
    }
}

/// Waits for the deadline of the first phase.
async fn expire(deadlines: &mut watch::Receiver<FirstPhaseDeadline>) -> EndError {
    loop {
        let FirstPhaseDeadline { at, is_shutdown } = *deadlines.borrow_and_update();
        let expired = async {
            match at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let expired_as = if is_shutdown { EndError::ShutDown } else { EndError::Timeout };
        tokio::pin!(expired);
        tokio::select! {
            () = &mut expired => return expired_as,
            changed = deadlines.changed() => if changed.is_err() {
                // The client is gone, and the last deadline holds.
                expired.await;
                return expired_as;
            }
        }
    }
}
