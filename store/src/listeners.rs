use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Key, Revision, outcome::call, store::Shared};

/// What a group of commits changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CommitNotice {
    /// Revision of the last commit of the group.
    pub revision: Revision,
    /// The keys that the group wrote.
    pub keys: BTreeSet<Key>,
    /// The topics of its events.
    pub topics: BTreeSet<String>,
}

type Callback = Arc<dyn Fn(&CommitNotice) + Send + Sync>;

#[derive(Default)]
struct Registered {
    next: u64,
    callbacks: Vec<(u64, Callback)>,
}

#[derive(Default)]
pub(crate) struct Listeners(Mutex<Registered>);

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, Registered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(shared: &Arc<Shared>, callback: Callback) -> Listener {
        let mut registered = shared.listeners.lock();
        let number = registered.next;
        registered.next += 1;
        registered.callbacks.push((number, callback));
        drop(registered);
        Listener { shared: Arc::clone(shared), number }
    }

    pub(crate) fn notify(&self, notice: &CommitNotice) {
        // A callback may add or drop listeners.
        let callbacks: Vec<Callback> = self.lock().callbacks.iter().map(|(_, callback)| Arc::clone(callback)).collect();
        for callback in callbacks {
            // The callback may have been removed meanwhile, and is then dropped here.
            call(move || callback(notice));
        }
    }
}

/// Keeps the callback of [`Store::on_commit`](crate::Store::on_commit) registered until it is dropped.
#[must_use = "dropping the listener removes its callback"]
pub struct Listener {
    shared: Arc<Shared>,
    number: u64,
}

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Listener").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A callback may own handles and listeners, so it is dropped after the lock.
        let removed: Vec<_> = {
            let mut registered = self.shared.listeners.lock();
            registered.callbacks.extract_if(.., |(number, _)| *number == self.number).collect()
        };
        drop(removed);
    }
}
