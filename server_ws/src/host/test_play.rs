//! Plays for unit tests of host functions.

use std::{ops::DerefMut, sync::Arc, time::Instant};

use keys::PublicKey;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard, OwnedMutexGuard, mpsc::UnboundedReceiver};
use tokio_util::sync::CancellationToken;

use super::{
    call::{Call, PlayContext},
    instance::Transaction,
    output::{HostPrint, PlayOutput},
};

/// A play for unit tests of host functions, which needs no circle and no worker.
///
/// ```
/// use server_ws::host::{self, TestPlay};
///
/// struct Counter;
///
/// impl Counter {
///     async fn add(&self, mut call: host::Call<u32>, (count,): (u32,)) -> host::Result<u32> {
///         call.print(format!("adding {count}"));
///         *call.tx() += count;
///         Ok(*call.tx())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut play = TestPlay::with_tx(40);
/// assert_eq!(Counter.add(play.call(), (2,)).await, Ok(42));
/// assert_eq!(play.prints(), ["adding 2"]);
/// assert_eq!(play.into_tx(), 42);
/// # });
/// ```
#[derive(Debug)]
pub struct TestPlay<Tx = ()> {
    context: PlayContext,
    prints: UnboundedReceiver<HostPrint>,
    transaction: Arc<Mutex<Transaction<Tx>>>,
}

impl TestPlay {
    /// Makes a play of an anonymous caller, without a transaction.
    #[expect(clippy::new_without_default, reason = "a default play says nothing to a reader of a test")]
    pub fn new() -> Self {
        Self::with_tx(())
    }
}

impl<Tx> TestPlay<Tx> {
    /// Makes a play of an anonymous caller, with a transaction that has begun. Its session has the number 1, its circle
    /// the name `test`, and it has no deadline.
    pub fn with_tx(tx: Tx) -> Self {
        let (output, prints) = PlayOutput::new(u64::MAX);
        let context = PlayContext {
            caller: None,
            session: 1,
            circle: "test".into(),
            deadline: None,
            cancelled: CancellationToken::new(),
            output,
            store: None,
        };
        Self { context, prints, transaction: Arc::new(Mutex::new(Transaction::Open(tx))) }
    }

    /// Sets the key of the caller.
    #[must_use]
    pub fn caller(mut self, key: PublicKey) -> Self {
        self.context.caller = Some(key);
        self
    }

    /// Sets the number of the session.
    #[must_use]
    pub fn session(mut self, number: u64) -> Self {
        self.context.session = number;
        self
    }

    /// Sets the name of the circle.
    #[must_use]
    pub fn circle(mut self, name: &str) -> Self {
        self.context.circle = name.into();
        self
    }

    /// Sets when the time limit of the play ends.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.context.deadline = Some(deadline);
        self
    }

    /// Returns the context, such as for [`Transactional::begin`](super::Transactional::begin).
    pub fn context(&self) -> &PlayContext {
        &self.context
    }

    /// Makes a call for a function.
    ///
    /// # Panics
    ///
    /// An earlier call still exists.
    pub fn call(&self) -> Call<Tx> {
        let guard = self.transaction.clone().try_lock_owned().expect("an earlier call of this play still exists");
        let tx = OwnedMutexGuard::try_map(guard, Transaction::open);
        let tx = tx.unwrap_or_else(|_| unreachable!("only `into_tx` ends the transaction"));
        Call { play: self.context.clone(), tx }
    }

    /// Cancels the play.
    pub fn cancel(&self) {
        self.context.cancelled.cancel();
    }

    /// Returns what the functions have printed since the last call of this method.
    pub fn prints(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Ok(HostPrint::Text(text)) = self.prints.try_recv() {
            texts.push(text);
        }
        texts
    }

    /// Returns the newest progress report: the amount of work done, the total amount, and the text.
    pub fn progress(&self) -> Option<(i64, i64, Option<String>)> {
        self.context.output.progress().map(|report| (report.done, report.total, report.text))
    }

    /// Returns the transaction.
    ///
    /// # Panics
    ///
    /// A call still exists.
    pub fn tx(&mut self) -> impl DerefMut<Target = Tx> {
        let guard = self.transaction.try_lock().expect("a call of this play still exists");
        let tx: Result<MappedMutexGuard<'_, Tx>, _> = MutexGuard::try_map(guard, Transaction::open);
        tx.unwrap_or_else(|_| unreachable!("only `into_tx` ends the transaction"))
    }

    /// Returns the transaction, such as for [`Transactional::prepare`](super::Transactional::prepare).
    ///
    /// # Panics
    ///
    /// A call still exists.
    pub fn into_tx(self) -> Tx {
        match self.transaction.try_lock().expect("a call of this play still exists").take() {
            Transaction::Open(tx) => tx,
            _ => unreachable!("nothing else ends the transaction"),
        }
    }
}
