//! A pool of workers: typed runs of scripts, for programs that need no connection, no protocol and no keys.
//!
//! ```text
//! Pool ─ checkout() ─ Session: one worker, whose variables persist
//!                      └─ run(script) ─ Run: inputs, time limit, prints ─ .await ─ Result<T, RunError>
//! ```
//!
//! It runs in the program, above [`parent`](crate::parent): it sends plays and answers host calls, and evaluates nothing.

mod builder;
mod error;
mod execution;
mod functions;
mod run;
mod session;
mod state;

use std::sync::Arc;

pub use builder::PoolBuilder;
pub use error::{RunError, StartError};
pub use run::Run;
pub use session::Session;

use self::state::PoolState;

/// A pool of sealed worker processes, forked from one fork server. Clones are the same pool.
///
/// - A [`Session`] has a worker of its own. Its variables persist between runs, and its worker ends with it: nothing of
///   one session reaches the next.
/// - At most [`PoolBuilder::max_workers`] workers exist, spare ones included. Further checkouts wait, first come, first
///   served.
/// - [`PoolBuilder::spare_workers`] workers wait, started and sealed, for the next checkouts.
/// - The pool replaces a fork server or a spare worker that was lost. A loss fails the runs in progress with
///   [`RunError::WorkerLost`], and no later checkout.
///
/// A pool belongs to the tokio runtime that started it, which must have I/O and time enabled. When its last clone is
/// dropped, the spare workers end, and sessions keep their workers.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use worker::{Pool, RunError};
///
/// #[global_allocator]
/// static ALLOCATOR: worker::Allocator = worker::Allocator;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     // Call this first, before any thread or runtime. In a worker process it never returns.
///     worker::run_if_worker();
///     tokio::runtime::Runtime::new()?.block_on(async {
///         let price = async |item: String| if item == "tea" { Ok(2.5) } else { Err(format!("no {item}")) };
///         let pool = Pool::builder().function("shop::price", ["item"], move |(item,)| price(item)).start().await?;
///         let mut session = pool.checkout().await?;
///         let total: f64 = session
///             .run("count * shop::price(item)")
///             .input("item", "tea")
///             .input("count", 3)
///             .timeout(Duration::from_secs(1))
///             .await?;
///         println!("{total}");
///         Ok(())
///     })
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Pool {
    state: Arc<PoolState>,
    /// Dropped with the last clone.
    _close: Arc<CloseOnDrop>,
}

/// Closes a pool, although sessions may still hold its state.
#[derive(Debug)]
struct CloseOnDrop(Arc<PoolState>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Pool {
    /// Returns a builder with default settings.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    fn new(state: Arc<PoolState>) -> Self {
        // Ends once the pool is closed.
        tokio::spawn(state::keep_spares(Arc::downgrade(&state), state.changed.clone()));
        Self { _close: Arc::new(CloseOnDrop(state.clone())), state }
    }

    /// Checks a worker out. Waits while [`PoolBuilder::max_workers`] workers are in use; there is no time limit for that
    /// wait.
    ///
    /// Cancel safe: a dropped future gives up its turn, and leaves no worker.
    ///
    /// # Errors
    ///
    /// [`RunError::PoolClosed`] after [`close`](Self::close), and [`RunError::Start`] if no worker could be started.
    pub async fn checkout(&self) -> Result<Session, RunError> {
        let place = self.state.place().await?;
        let worker = self.state.start_worker().await?;
        Ok(Session::new(worker, place))
    }

    /// Closes the pool: checkouts fail, also those that wait, and the spare workers end. Sessions keep their workers.
    pub fn close(&self) {
        self.state.close();
    }
}
