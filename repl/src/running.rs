//! One play of the REPL: prints as they come, a status line, Ctrl-C.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use client_ws::{CircleWsClient, ClientError, PlayEvent, PlayResult, RpcError, RunningPlay};
use protocol::methods::Progress;

use console::{LAST_VALUE, notebook::Notebook, progress};
use frontend::error::CliError;
use terminal::{modes::Interrupts, printer::Printer, printing::{self, Paint}, waiting::{self, PATIENCE, TICK}};

/// How soon a second Ctrl-C has to come to give up waiting.
pub(super) const GIVE_UP: Duration = Duration::from_secs(2);

/// How a play ended for the user.
pub(crate) enum Ended {
    /// With its value, and after so long.
    Value(Arc<PlayResult>, Duration),
    Error(ClientError),
    /// It was cancelled here.
    Interrupted,
    /// It was cancelled here and its end is not waited for.
    GivenUp,
}

/// Plays a script. The error is that nobody reads the output any more.
pub(crate) async fn play(
    client: &CircleWsClient,
    script: &str,
    interrupts: &mut Interrupts,
    notebook: &mut Notebook,
) -> Result<Ended, CliError> {
    interrupts.forget().await;
    notebook.begin(script);
    let begun = Instant::now();
    let mut running = match client.play(script).bind(LAST_VALUE).start().await {
        Ok(running) => running,
        Err(error) => return Ok(Ended::Error(error)),
    };
    let printer = Printer::start();
    let mut status = Status::new(begun);
    let mut tick = tokio::time::interval(TICK);
    let played = async {
        loop {
            let event = tokio::select! {
                biased;
                event = running.next() => event,
                _ = tick.tick() => {
                    printer.note(status.shown()).await?;
                    continue;
                }
            };
            match event {
                Some(PlayEvent::Output(output)) => {
                    printer.note(status.cleared()).await?;
                    notebook.printed(&output.text);
                    printer.output(output).await?;
                }
                Some(PlayEvent::Progress(progress)) => status.progress = Some(progress),
                Some(_) => {}
                None => return printer.note(status.cleared()).await,
            }
        }
    };
    let played = tokio::select! {
        played = played => Some(played),
        () = interrupts.next() => None,
    };
    let ended = if let Some(played) = played {
        played?;
        let result = running.result().await;
        result.map_or_else(Ended::Error, |result| Ended::Value(Arc::new(result), begun.elapsed()))
    } else {
        let ended = cancel(running, &mut status, &printer, interrupts).await?;
        printer.note(status.cleared()).await?;
        ended
    };
    // What is printed is all there before the next prompt, unless the user has had enough of it.
    tokio::select! {
        written = printer.finish() => written?,
        () = interrupts.next() => {}
    }
    Ok(ended)
}

/// Cancels it and waits for its end, which takes a second or so at the most; another Ctrl-C soon after one gives up waiting.
async fn cancel(
    mut running: RunningPlay<'_>,
    status: &mut Status,
    printer: &Printer,
    interrupts: &mut Interrupts,
) -> Result<Ended, CliError> {
    let begun = status.begun;
    let end = async {
        match running.cancel().await {
            Ok(_) => match running.result().await {
                // It had ended before the cancellation came.
                Ok(result) => Ended::Value(Arc::new(result), begun.elapsed()),
                Err(ClientError::Rpc(RpcError::Cancelled)) => Ended::Interrupted,
                Err(error) => Ended::Error(error),
            },
            Err(error) => Ended::Error(error),
        }
    };
    let mut end = std::pin::pin!(end);
    let (mut interrupted, mut tick) = (Instant::now(), tokio::time::interval(TICK));
    loop {
        tokio::select! {
            ended = &mut end => return Ok(ended),
            () = interrupts.next() => {
                if std::mem::replace(&mut interrupted, Instant::now()).elapsed() < GIVE_UP {
                    return Ok(Ended::GivenUp);
                }
            }
            _ = tick.tick() => {
                status.is_cancelled = interrupted.elapsed() < GIVE_UP;
                printer.note(status.shown()).await?;
            }
        }
    }
}

/// One line about a play that takes long, on a terminal only.
pub(super) struct Status {
    is_terminal: bool,
    is_shown: bool,
    pub is_cancelled: bool,
    begun: Instant,
    progress: Option<Progress>,
}

impl Status {
    pub(super) fn new(begun: Instant) -> Self {
        let is_terminal = waiting::is_shown();
        Self { is_terminal, is_shown: false, is_cancelled: false, begun, progress: None }
    }

    /// What shows it, once there is something to show.
    pub(super) fn shown(&mut self) -> String {
        let elapsed = self.begun.elapsed();
        if !self.is_terminal || elapsed < PATIENCE && !self.is_cancelled {
            return String::new();
        }
        self.is_shown = true;
        let status = progress::Status {
            spinner: progress::spinner(elapsed),
            elapsed,
            progress: self.progress.as_ref(),
            waiting: 0,
            is_cancelling: self.is_cancelled,
        };
        let line = status.line(printing::columns().saturating_sub(1));
        format!("\r\x1b[K{}", Paint::for_stderr().line(&line))
    }

    /// What takes it away.
    pub(super) fn cleared(&mut self) -> String {
        if std::mem::take(&mut self.is_shown) { "\r\x1b[K".into() } else { String::new() }
    }
}
