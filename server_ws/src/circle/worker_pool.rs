//! Where the circle's workers come from: one template, which is started again when it was lost; or threads.

use std::{io, time::Duration};

use tokio::{sync::Mutex, time::timeout};
use worker::{Program, Setup, Template, Worker};

use crate::quota;

/// How long a process may take to start, beside what it runs.
pub(crate) const STARTING: Duration = Duration::from_secs(10);

/// What workers live in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// A process each, forked from one of that program's.
    Processes(Program),
    /// Threads of this process.
    Threads,
}

impl Home {
    /// Descriptors of this process that a worker takes.
    pub(crate) fn descriptors(&self) -> u64 {
        match self {
            Self::Processes(_) => quota::PROCESS_DESCRIPTORS,
            Self::Threads => quota::THREADS_DESCRIPTORS,
        }
    }
}

#[derive(Debug)]
pub(crate) struct WorkerSource {
    pub(crate) home: Home,
    pub(crate) setup: Setup,
    /// How long a worker may take to come; the circle's own script may have to be run for it.
    patience: Duration,
    template: Mutex<Option<Template>>,
}

/// What gives workers right now.
pub(crate) enum Giver<'s> {
    Template(Template),
    Threads(&'s Setup),
}

impl Giver<'_> {
    pub(crate) async fn worker(&self) -> io::Result<Worker> {
        match self {
            Self::Template(template) => template.worker().await,
            Self::Threads(setup) => Worker::start_on_threads((*setup).clone()),
        }
    }

    fn is_over(&self) -> bool {
        matches!(self, Self::Template(template) if template.is_over())
    }
}

impl WorkerSource {
    /// `script_time`: what the circle's own script may take.
    pub(crate) fn new(home: Home, setup: Setup, script_time: Duration) -> Self {
        Self { home, setup, patience: STARTING.saturating_add(script_time), template: Mutex::default() }
    }

    /// Whether each worker is a process.
    pub(crate) fn has_processes(&self) -> bool {
        matches!(self.home, Home::Processes(_))
    }

    /// A template may not be ready yet.
    pub(crate) async fn giver(&self) -> io::Result<Giver<'_>> {
        let Home::Processes(program) = &self.home else { return Ok(Giver::Threads(&self.setup)) };
        let mut current = self.template.lock().await;
        if let Some(template) = current.as_ref().filter(|template| !template.is_over()) {
            return Ok(Giver::Template(template.clone()));
        }
        let template = Template::start(program.clone(), self.setup.clone()).await?;
        Ok(Giver::Template(current.insert(template).clone()))
    }

    /// Gives up the template: the next worker comes from another.
    pub(crate) async fn discard(&self) {
        *self.template.lock().await = None;
    }

    pub(crate) async fn worker(&self) -> io::Result<Worker> {
        let given = async {
            let giver = self.giver().await?;
            match giver.worker().await {
                // Lost a moment ago, by no fault of whoever wants a worker now.
                Err(_) if giver.is_over() => self.giver().await?.worker().await,
                given => given,
            }
        };
        if let Ok(given) = timeout(self.patience, given).await {
            return given;
        }
        self.discard().await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "the process that forks the workers does not become ready"))
    }
}
