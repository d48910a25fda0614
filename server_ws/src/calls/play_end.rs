//! The end of a play for the host modules that it called: the two phases of its transactions.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    circle::Circle,
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
}

impl EndError {
    /// Returns the outcome of the play, for its modules.
    fn play_end(&self) -> PlayEnd {
        match self {
            Self::Refused(..) => PlayEnd::Failed,
            Self::Timeout => PlayEnd::Limited,
            Self::ShutDown => PlayEnd::ShutDown,
        }
    }
}

/// When the first phase ends without a result.
#[derive(Debug, Clone, Copy)]
struct FirstPhaseDeadline {
    at: Option<Instant>,
    is_shutdown: bool,
}

/// The end of a play, which runs in a task of its own.
pub(crate) struct PlayEnding {
    task: JoinHandle<()>,
    /// The result of the first phase, until it is there.
    decision: oneshot::Receiver<Result<(), EndError>>,
    decided: Option<Result<(), EndError>>,
    first_phase: watch::Sender<FirstPhaseDeadline>,
    /// When the play is answered without the second phase; `None` if the deadline of the play cannot be represented.
    second_phase: Option<Instant>,
}

impl PlayEnding {
    /// Starts the end of a play. `deadline` is that of the play if it has succeeded.
    pub(crate) fn start(
        circle: &Arc<Circle>,
        modules: Vec<(usize, Arc<dyn ModuleInstance>)>,
        end: PlayEnd,
        deadline: Option<Instant>,
    ) -> Self {
        let (decide, decision) = oneshot::channel();
        let (first_phase, deadlines) = watch::channel(FirstPhaseDeadline { at: deadline, is_shutdown: false });
        let coordinator = Coordinator { circle: circle.clone(), modules, deadlines };
        let task = circle.host.tasks.spawn(coordinator.run(end, decide));
        let soon = Instant::now() + SECOND_PHASE_TIMEOUT;
        let second_phase = if end.is_success() { deadline } else { Some(soon) };
        Self { task, decision, decided: None, first_phase, second_phase }
    }

    /// Waits for the end, and returns whether the play succeeds. Cancel safe; call it only until it returns.
    pub(crate) async fn wait(&mut self) -> Result<(), EndError> {
        if self.decided.is_none() {
            // The task fails only when the program's runtime shuts down.
            let decided = (&mut self.decision).await.unwrap_or(Err(EndError::ShutDown));
            let soon = Instant::now() + SECOND_PHASE_TIMEOUT;
            self.second_phase = match (&decided, self.first_phase.borrow().is_shutdown) {
                // The play has succeeded, so its answer waits for the commits as long as it can.
                (Ok(()), false) => self.second_phase.map(|deadline| deadline.max(soon)),
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
        self.decided.take().unwrap_or(Ok(()))
    }

    /// Shortens the wait, because the circle shuts down.
    pub(crate) fn shut_down(&mut self) {
        let soon = Instant::now() + SECOND_PHASE_TIMEOUT;
        let shorten = |deadline: Option<Instant>| deadline.map_or(soon, |deadline| deadline.min(soon));
        self.first_phase.send_modify(|deadline| {
            *deadline = FirstPhaseDeadline { at: Some(shorten(deadline.at)), is_shutdown: true };
        });
        self.second_phase = Some(shorten(self.second_phase));
    }

    /// Lets the rest of the end run without the play.
    pub(crate) fn detach(self, circle: &Circle, caller: Caller) {
        circle.host.tasks.detach(caller, self.task);
    }
}

/// Carries out the two phases.
struct Coordinator {
    circle: Arc<Circle>,
    /// The modules, by their index.
    modules: Vec<(usize, Arc<dyn ModuleInstance>)>,
    deadlines: watch::Receiver<FirstPhaseDeadline>,
}

impl Coordinator {
    async fn run(mut self, end: PlayEnd, decide: oneshot::Sender<Result<(), EndError>>) {
        let result = if end.is_success() { self.prepare().await } else { Ok(()) };
        let end = result.as_ref().err().map_or(end, EndError::play_end);
        // Here a durable store of the circle commits what the play wrote: every module has prepared, and none has
        // committed. If the store cannot commit, `result` becomes an error.
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
        let Self { circle, modules, deadlines } = self;
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
