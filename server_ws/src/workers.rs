//! Where the circle's workers come from: one template, which is started again when it was lost.

use std::{io, time::Duration};

use tokio::{sync::Mutex, time::timeout};
use worker::{Program, Setup, Template, Worker};

/// How long a process may take to start, beside what it runs.
pub(crate) const STARTING: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct WorkerSource {
    program: Program,
    pub(crate) setup: Setup,
    /// How long a worker may take to come; the circle's own script may have to be run for it.
    patience: Duration,
    template: Mutex<Option<Template>>,
}

impl WorkerSource {
    /// `script_time`: what the circle's own script may take.
    pub(crate) fn new(program: Program, setup: Setup, script_time: Duration) -> Self {
        Self { program, setup, patience: STARTING.saturating_add(script_time), template: Mutex::default() }
    }

    /// The template, which may not be ready yet.
    pub(crate) async fn template(&self) -> io::Result<Template> {
        let mut current = self.template.lock().await;
        if let Some(template) = current.as_ref().filter(|template| !template.is_over()) {
            return Ok(template.clone());
        }
        let template = Template::start(self.program.clone(), self.setup.clone()).await?;
        Ok(current.insert(template).clone())
    }

    /// Gives up the template: the next worker comes from another.
    pub(crate) async fn discard(&self) {
        *self.template.lock().await = None;
    }

    pub(crate) async fn worker(&self) -> io::Result<Worker> {
        let forked = async {
            let template = self.template().await?;
            match template.worker().await {
                // Lost a moment ago, by no fault of whoever wants a worker now.
                Err(_) if template.is_over() => self.template().await?.worker().await,
                forked => forked,
            }
        };
        if let Ok(forked) = timeout(self.patience, forked).await {
            return forked;
        }
        self.discard().await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "the process that forks the workers does not become ready"))
    }
}
