//! Transactions: the state that a module keeps for one play, and its two-phase end.

use std::sync::Arc;

use super::{
    Error,
    call::{PlayContext, PlayEnd},
    handler::BoxFuture,
};

/// The transactions of a module ([`Module::transactional`](super::Module::transactional)): each play that calls the
/// module has one of its own.
///
/// A transaction begins at the first call of the module in a play, and ends **before the circle answers the play**, in
/// two phases:
///
/// 1. If the script succeeded, the circle calls [`prepare`](Self::prepare) of one module after the other, in the order
///    in which the circle lists the modules. Each of them may refuse: the play then fails with that error.
/// 2. The outcome of the play is now final. The circle passes it to [`end`](Self::end) of all modules that have
///    prepared, and to [`abort`](Self::abort) of all others, concurrently.
///
/// So for every transaction that has begun, the circle calls either `prepare`, and `end` if `prepare` succeeded, or
/// `abort`. It runs each of them, and `begin`, to its end, on the runtime on which [`run`](crate::run) was called, and
/// calls none of them while a function of the transaction runs.
///
/// ```
/// use server_ws::host;
///
/// struct Outbox;
///
/// impl host::Transactional for Outbox {
///     type Tx = Vec<String>;
///     type Prepared = Vec<String>;
///
///     async fn begin(&self, _: &host::PlayContext) -> host::Result<Vec<String>> {
///         Ok(Vec::new())
///     }
///
///     async fn prepare(&self, messages: Vec<String>) -> host::Result<Vec<String>> {
///         if messages.len() > 10 { Err("a play can send at most 10 messages".into()) } else { Ok(messages) }
///     }
///
///     async fn end(&self, messages: Vec<String>, end: host::PlayEnd) {
///         if end.is_success() {
///             println!("{messages:?}");
///         }
///     }
/// }
///
/// impl Outbox {
///     async fn send(&self, mut call: host::Call<Vec<String>>, (text,): (String,)) -> host::Result<()> {
///         call.tx().push(text);
///         Ok(())
///     }
/// }
///
/// let outbox = host::Module::transactional("outbox", Outbox).function("send", ["text"], "Sends a text.", Outbox::send);
/// # drop(outbox);
/// ```
///
/// # A store that cannot prepare
///
/// A database without a prepared state commits in `prepare`, with `Prepared = ()`. An error of the commit then fails
/// the play. List such a module last, because no later module may refuse after the commit, and do not list two of them.
/// The default of `abort` drops the transaction, which rolls back the transactions of common database clients.
pub trait Transactional: Send + Sync + 'static {
    /// The transaction of one play. The functions of the module have exclusive access to it
    /// ([`Call::tx`](super::Call::tx)), so it needs no lock.
    type Tx: Send + 'static;

    /// A transaction that can be committed and rolled back, whatever happens; `()` if [`prepare`](Self::prepare)
    /// commits.
    type Prepared: Send + 'static;

    /// Begins the transaction of a play.
    ///
    /// # Errors
    ///
    /// The script gets the error as that of its call. Its next call of the module begins again.
    fn begin(&self, play: &PlayContext) -> impl Future<Output = Result<Self::Tx, Error>> + Send;

    /// Prepares the transaction of a play whose script has succeeded, so that a commit cannot fail.
    ///
    /// At the deadline of the play, the circle waits no longer: the play fails with −32004 `time`, and
    /// [`end`](Self::end) follows once `prepare` returns.
    ///
    /// # Errors
    ///
    /// The play fails with this error. The transaction must have been rolled back.
    fn prepare(&self, tx: Self::Tx) -> impl Future<Output = Result<Self::Prepared, Error>> + Send;

    /// Commits a prepared transaction if the play has [succeeded](PlayEnd::is_success), and rolls it back otherwise. The
    /// default drops it.
    fn end(&self, prepared: Self::Prepared, end: PlayEnd) -> impl Future<Output = ()> + Send {
        let _ = end;
        drop(prepared);
        std::future::ready(())
    }

    /// Rolls back the transaction of a play that has not succeeded. The default drops it.
    fn abort(&self, tx: Self::Tx, end: PlayEnd) -> impl Future<Output = ()> + Send {
        let _ = end;
        drop(tx);
        std::future::ready(())
    }
}

/// The second phase of a prepared transaction.
pub(super) type PreparedEnd = Box<dyn FnOnce(PlayEnd) -> BoxFuture<'static, ()> + Send>;

/// The transactions of a module, without the type of the prepared ones.
pub(super) trait Transactions<Tx>: Send + Sync {
    /// Whether transactions need an end.
    fn have_ends(&self) -> bool;

    fn begin<'a>(&'a self, play: &'a PlayContext) -> BoxFuture<'a, Result<Tx, Error>>;

    fn prepare(&self, tx: Tx) -> BoxFuture<'_, Result<PreparedEnd, Error>>;

    fn abort(&self, tx: Tx, end: PlayEnd) -> BoxFuture<'_, ()>;
}

/// The transactions of a module that keeps nothing for a play.
pub(super) struct NoTransactions;

impl Transactions<()> for NoTransactions {
    fn have_ends(&self) -> bool {
        false
    }

    fn begin<'a>(&'a self, _: &'a PlayContext) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn prepare(&self, (): ()) -> BoxFuture<'_, Result<PreparedEnd, Error>> {
        let end: PreparedEnd = Box::new(|_| Box::pin(std::future::ready(())));
        Box::pin(std::future::ready(Ok(end)))
    }

    fn abort(&self, (): (), _: PlayEnd) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// The transactions of a module's state.
pub(super) struct StateTransactions<S>(pub(super) Arc<S>);

impl<S: Transactional> Transactions<S::Tx> for StateTransactions<S> {
    fn have_ends(&self) -> bool {
        true
    }

    fn begin<'a>(&'a self, play: &'a PlayContext) -> BoxFuture<'a, Result<S::Tx, Error>> {
        Box::pin(self.0.begin(play))
    }

    fn prepare(&self, tx: S::Tx) -> BoxFuture<'_, Result<PreparedEnd, Error>> {
        Box::pin(async {
            let (state, prepared) = (self.0.clone(), self.0.prepare(tx).await?);
            let end: PreparedEnd = Box::new(move |end| Box::pin(async move { state.end(prepared, end).await }));
            Ok(end)
        })
    }

    fn abort(&self, tx: S::Tx, end: PlayEnd) -> BoxFuture<'_, ()> {
        Box::pin(self.0.abort(tx, end))
    }
}
