//! The instance of a module for one play: its transaction, the calls of its functions, and its end.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::value::RawValue;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    Error,
    call::{Call, PlayContext, PlayEnd},
    handler::BoxFuture,
    module::Definition,
    transaction::PreparedEnd,
};

/// The instance of a module for one play. All futures run code of the program, which may panic.
pub(crate) trait ModuleInstance: Send + Sync {
    /// Whether the play has to end the instance.
    fn needs_end(&self) -> bool;

    /// Calls a function by its index in the module. If an argument is invalid, the function does not run.
    fn call(
        self: Arc<Self>,
        function: usize,
        play: PlayContext,
        args: &[&RawValue],
    ) -> Result<BoxFuture<'static, Result<String, Error>>, Error>;

    /// Prepares the transaction, if one has begun. Waits for a function that uses the transaction.
    fn prepare(self: Arc<Self>) -> BoxFuture<'static, Result<(), Error>>;

    /// Ends the transaction, if one has begun. Waits for code that uses the transaction. No later call runs.
    fn end(self: Arc<Self>, end: PlayEnd) -> BoxFuture<'static, ()>;
}

/// The phase of a transaction.
pub(super) enum Transaction<Tx> {
    NotBegun,
    Open(Tx),
    Prepared(PreparedEnd),
    /// The transaction has ended, or code of the program panicked while it had the transaction.
    Ended,
}

impl<Tx> Transaction<Tx> {
    pub(super) fn open(&mut self) -> Option<&mut Tx> {
        match self {
            Self::Open(tx) => Some(tx),
            _ => None,
        }
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Ended)
    }
}

impl<Tx> fmt::Debug for Transaction<Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBegun => "NotBegun",
            Self::Open(_) => "Open",
            Self::Prepared(_) => "Prepared",
            Self::Ended => "Ended",
        })
    }
}

pub(super) struct PlayInstance<Tx> {
    module: Arc<Definition<Tx>>,
    /// Locked while code of the program uses the transaction.
    transaction: Arc<Mutex<Transaction<Tx>>>,
    /// Whether a function panicked, so that the transaction may be incomplete.
    has_panicked: AtomicBool,
}

impl<Tx: Send + 'static> PlayInstance<Tx> {
    pub(super) fn new(module: Arc<Definition<Tx>>) -> Self {
        Self { module, transaction: Arc::new(Mutex::new(Transaction::NotBegun)), has_panicked: AtomicBool::new(false) }
    }

    /// Returns a call in the transaction of the play, which begins with its first call.
    async fn begin_call(&self, play: PlayContext) -> Result<Call<Tx>, Error> {
        let transactions = self.module.transactions();
        let transaction = if transactions.have_ends() {
            self.transaction.clone()
        } else {
            // Without transactions, the calls are independent of each other.
            Arc::new(Mutex::new(Transaction::NotBegun))
        };
        let mut guard = transaction.lock_owned().await;
        let has_ended = || Error::new("the play has ended");
        if play.is_cancelled() {
            return Err(has_ended());
        }
        if matches!(*guard, Transaction::NotBegun) {
            *guard = Transaction::Open(transactions.begin(&play).await?);
            if play.is_cancelled() {
                return Err(has_ended());
            }
        }
        let tx = OwnedMutexGuard::try_map(guard, Transaction::open).map_err(|_| has_ended())?;
        Ok(Call { play, tx })
    }
}

impl<Tx: Send + 'static> ModuleInstance for PlayInstance<Tx> {
    fn needs_end(&self) -> bool {
        self.module.transactions().have_ends()
    }

    fn call(
        self: Arc<Self>,
        function: usize,
        play: PlayContext,
        args: &[&RawValue],
    ) -> Result<BoxFuture<'static, Result<String, Error>>, Error> {
        let prepared = self.module.function(function).ok_or_else(Error::hidden)?(args)?;
        Ok(Box::pin(async move {
            let call = self.begin_call(play).await?;
            let _note_panic = NotePanic(&self.has_panicked);
            prepared(call).await
        }))
    }

    fn prepare(self: Arc<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            let mut transaction = self.transaction.lock().await;
            if self.has_panicked.load(Ordering::Relaxed) {
                return Err(Error::hidden());
            }
            match transaction.take() {
                Transaction::Open(tx) => {
                    *transaction = Transaction::Prepared(self.module.transactions().prepare(tx).await?);
                }
                other => *transaction = other,
            }
            Ok(())
        })
    }

    fn end(self: Arc<Self>, end: PlayEnd) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let transaction = self.transaction.lock().await.take();
            match transaction {
                Transaction::Open(tx) => self.module.transactions().abort(tx, end).await,
                Transaction::Prepared(prepared) => prepared(end).await,
                Transaction::NotBegun | Transaction::Ended => {}
            }
        })
    }
}

/// Notes that a function panics.
struct NotePanic<'a>(&'a AtomicBool);

impl Drop for NotePanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
