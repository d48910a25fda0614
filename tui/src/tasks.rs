//! Background tasks that post their outcome: network, disk, passphrases, processes.

mod admit;
mod config;
#[cfg(test)]
mod fake;
mod keys;
mod logs;
mod probe;
mod sessions;
mod store;
mod supervisor;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use frontend::target;
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    circle_id::CircleId,
    event::{AppEvent, Message},
};
#[cfg(test)]
pub(crate) use fake::{FakeOutside, FakeWatch};
pub(crate) use logs::{LogFollower, MAX_LINES};
pub(crate) use probe::ProbeGuard;
pub(crate) use store::WatchGuard;
pub(crate) use supervisor::SupervisorRef;

/// Starts background tasks.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    runtime: Handle,
    queue: mpsc::Sender<Message>,
    /// Number of requests for documentation so far.
    documents: Arc<AtomicU64>,
    /// Replaces everything outside of the app.
    #[cfg(test)]
    outside: Option<Arc<FakeOutside>>,
}

impl Tasks {
    pub(crate) fn new(runtime: Handle, queue: mpsc::Sender<Message>) -> Self {
        Self {
            runtime,
            queue,
            documents: Arc::default(),
            #[cfg(test)]
            outside: None,
        }
    }

    /// Creates tasks that reach a fake instead of the disk, the network and other processes.
    #[cfg(test)]
    pub(crate) fn faked(runtime: Handle, queue: mpsc::Sender<Message>, outside: Arc<FakeOutside>) -> Self {
        Self { outside: Some(outside), ..Self::new(runtime, queue) }
    }

    /// Records a request to the supervisor for tests.
    #[cfg(test)]
    fn record(&self, request: String) {
        if let Some(outside) = &self.outside {
            outside.record(request);
        }
    }

    /// Posts an event. Waits for room in the queue: a fast sender is slowed down, and nothing is dropped.
    async fn post(&self, event: AppEvent) {
        // An app that has ended handles no events.
        drop(self.queue.send(Message(event)).await);
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        #[cfg(test)]
        if self.outside.is_some() {
            return;
        }
        self.runtime.spawn(future);
    }

    /// Runs a blocking job, and posts its outcome.
    fn spawn_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
        event: impl FnOnce(T) -> AppEvent + Send + 'static,
    ) {
        let tasks = self.clone();
        self.spawn(async move {
            // The panic hook has reported a panic, and ends the process.
            if let Ok(done) = tokio::task::spawn_blocking(job).await {
                tasks.post(event(done)).await;
            }
        });
    }

    /// Looks up a circle by name, port, host:port or URL.
    ///
    /// `previous` is the circle that was shown, if a command named this one.
    pub(crate) fn resolve(&self, circle: String, config: Option<PathBuf>, previous: Option<CircleId>) {
        let resolved = move || target::parse(&circle, config.as_deref()).map(|found| found.url.into());
        self.spawn_blocking(resolved, move |resolved| AppEvent::Resolved(previous, resolved));
    }
}
