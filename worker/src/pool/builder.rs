//! The settings of a pool.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
};

use super::{
    Pool,
    error::{RunError, StartError},
    execution::FAR_FUTURE,
    functions::{FunctionTable, handler},
    session::Session,
    state::PoolState,
};
use crate::{
    entry::{self, Preparation},
    host::Arguments,
    message::{HostError, InvalidValue, ModuleSources, NamedValue, WorkerLimits, WorkerSetup},
    parent::Program,
};

/// The default of [`PoolBuilder::timeout`].
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings of a [`Pool`].
#[derive(Debug)]
pub struct PoolBuilder {
    program: Program,
    setup: WorkerSetup,
    /// The directory of the modules.
    modules: Option<PathBuf>,
    functions: FunctionTable,
    constant_error: Option<InvalidValue>,
    max_workers: usize,
    max_spares: usize,
    timeout: Duration,
    start_timeout: Duration,
    must_be_sealed: bool,
}

impl Default for PoolBuilder {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            program: Program::default(),
            setup: WorkerSetup::default(),
            modules: None,
            functions: FunctionTable::default(),
            constant_error: None,
            max_workers: 4 * processors,
            max_spares: processors,
            timeout: DEFAULT_TIMEOUT,
            start_timeout: DEFAULT_TIMEOUT,
            must_be_sealed: true,
        }
    }
}

impl PoolBuilder {
    /// Sets the maximum number of workers, and so of sessions; at least 1. By default, four for each processor.
    #[must_use]
    pub fn max_workers(mut self, workers: usize) -> Self {
        self.max_workers = workers.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets how many workers wait, started and sealed, for the next checkouts, as far as
    /// [`max_workers`](Self::max_workers) has room. By default, one for each processor. Only Linux has spare workers.
    #[must_use]
    pub fn spare_workers(mut self, workers: usize) -> Self {
        self.max_spares = workers;
        self
    }

    /// Sets the time limit of runs that set none; 10 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the time in which a worker has to start, including the init script; 10 s by default.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout.min(FAR_FUTURE);
        self
    }

    /// Sets the limits of runs.
    #[must_use]
    pub fn limits(mut self, limits: WorkerLimits) -> Self {
        self.setup.limits = limits;
        self
    }

    /// Sets the init script, which defines functions, constants and variables before the first run of each session.
    #[must_use]
    pub fn init(mut self, script: impl Into<String>) -> Self {
        self.setup.init = Some(script.into());
        self
    }

    /// Sets the directory of the modules for `import`. Without one, scripts cannot import.
    ///
    /// [`start`](Self::start) reads the modules. A directory that cannot be read has none.
    #[must_use]
    pub fn modules(mut self, directory: impl Into<PathBuf>) -> Self {
        self.modules = Some(directory.into());
        self
    }

    /// Adds a constant that scripts see, in functions too.
    #[must_use]
    pub fn constant(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        match NamedValue::new(name, value) {
            Ok(constant) => self.setup.constants.push(constant),
            Err(error) if self.constant_error.is_none() => self.constant_error = Some(error),
            Err(_) => {}
        }
        self
    }

    /// Adds a host function, which scripts call by its name: `stock::reserve("tea", 2)` for `"stock::reserve"`.
    ///
    /// The arguments are a tuple of up to eight, one for each name in `params`, each read by serde from the JSON of the
    /// script's value. A blob is an array of bytes, so it fits `Vec<u8>` and [`Blob`](crate::Blob). An argument of another
    /// type, or one that has no form in JSON, is an error for the script, which names the parameter; the function then
    /// does not run. The result is any value that serializes, up to [`WorkerLimits::host_bytes`](WorkerLimits::host_bytes);
    /// a [`Blob`](crate::Blob) becomes a blob. The script can catch an error, which is a [`HostError`] or a
    /// [`CodedError`](crate::CodedError); it sees nothing of a panic but that the function failed. Several functions may
    /// share a name if they have different numbers of parameters.
    ///
    /// The function runs within the future of its run. If the run ends before the function, because of its time limit or
    /// because its future is dropped, the future of the function is dropped: spawn what has to run to its end. A function
    /// must not block.
    #[must_use]
    pub fn function<const N: usize, A, F, T, E>(
        self,
        name: &str,
        params: [&str; N],
        function: impl Fn(A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: Arguments<N>,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: Into<HostError>,
    {
        self.documented_function(name, params, "", function)
    }

    /// Like [`function`](Self::function), with documentation that a [`Query::Lookup`](crate::Query::Lookup) returns.
    #[must_use]
    pub fn documented_function<const N: usize, A, F, T, E>(
        mut self,
        name: &str,
        params: [&str; N],
        doc: impl Into<String>,
        function: impl Fn(A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: Arguments<N>,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: Into<HostError>,
    {
        self.functions.add(name, params.map(Into::into).to_vec(), doc.into(), handler(function));
        self
    }

    /// Allows workers that cannot be sealed, on systems other than Linux: a script that takes over its process then has
    /// the rights of its user. By default, the pool does not start there.
    #[must_use]
    pub fn allow_unsealed(mut self, is_allowed: bool) -> Self {
        self.must_be_sealed = !is_allowed;
        self
    }

    /// Sets the executable of the workers, for test harnesses: it must call [`run_if_worker`](crate::run_if_worker)
    /// first in its `main`. By default, it is that of this program.
    #[must_use]
    pub fn program(mut self, program: Program) -> Self {
        self.program = program;
        self
    }

    /// Starts the pool, and tries one worker: it runs the init script.
    ///
    /// # Errors
    ///
    /// Returns a [`StartError`].
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O and time enabled.
    pub async fn start(mut self) -> Result<Pool, StartError> {
        if self.program == Program::SameExecutable {
            match entry::preparation() {
                Preparation::Missing => return Err(StartError::NotPrepared),
                Preparation::TooLate => return Err(StartError::PreparedTooLate),
                Preparation::Done => {}
            }
        }
        if self.must_be_sealed && cfg!(not(target_os = "linux")) {
            return Err(StartError::NoSandbox);
        }
        if let Some(error) = self.constant_error {
            return Err(StartError::Constant(error));
        }
        self.setup.host = self.functions.modules().map_err(StartError::HostName)?;
        self.setup.must_be_sealed = self.must_be_sealed;
        if let Some(directory) = self.modules {
            let read = tokio::task::spawn_blocking(move || ModuleSources::read(&directory));
            self.setup.modules = read.await.ok().and_then(Result::ok).unwrap_or_default();
        }
        let state = Arc::new(PoolState {
            program: self.program,
            setup: self.setup,
            functions: self.functions,
            timeout: self.timeout,
            start_timeout: self.start_timeout,
            max_spares: self.max_spares,
            runtime: Handle::current(),
            places: Arc::new(Semaphore::new(self.max_workers)),
            fork_server: tokio::sync::Mutex::default(),
            spares: Mutex::default(),
            changed: Arc::new(Notify::new()),
        });
        try_worker(&state).await.map_err(StartError::FirstWorker)?;
        Ok(Pool::new(state))
    }
}

/// Runs an empty script in a worker: it has the error of the init script, if that fails.
async fn try_worker(state: &Arc<PoolState>) -> Result<(), RunError> {
    let place = state.place().await?;
    let mut session = Session::new(state.start_worker().await?, place);
    session.run::<()>("").await?;
    session.close().await;
    Ok(())
}
