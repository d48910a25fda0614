//! One play of the REPL: prints as they come, a status line, Ctrl-C.

use std::io::IsTerminal;

use client_ws::{CircleWsClient, ClientError, PlayEvent, PlayResult, RunningPlay};
use protocol::methods::Progress;

use crate::{
    console::{LAST_VALUE, progress},
    error::CliError,
    printer::Printer,
    printing::Paint,
    terminal::Interrupts,
};

/// How a play ended for the user.
pub(crate) enum Ended {
    Value(PlayResult),
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
) -> Result<Ended, CliError> {
    interrupts.forget().await;
    let mut running = match client.play(script).bind(LAST_VALUE).start().await {
        Ok(running) => running,
        Err(error) => return Ok(Ended::Error(error)),
    };
    let printer = Printer::start();
    let mut status = Status::new();
    let played = async {
        while let Some(event) = running.next().await {
            match event {
                PlayEvent::Output(output) => {
                    printer.note(status.cleared()).await?;
                    printer.output(output).await?;
                }
                PlayEvent::Progress(progress) => printer.note(status.shown(&progress)).await?,
                _ => {}
            }
        }
        printer.note(status.cleared()).await
    };
    let played = tokio::select! {
        played = played => Some(played),
        () = interrupts.next() => None,
    };
    let ended = if let Some(played) = played {
        played?;
        running.result().await.map_or_else(Ended::Error, Ended::Value)
    } else {
        let ended = cancel(running, interrupts).await;
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

/// Cancels it and waits for its end, which takes a second or so at the most; a second Ctrl-C gives up waiting.
async fn cancel(mut running: RunningPlay<'_>, interrupts: &mut Interrupts) -> Ended {
    let end = async {
        match running.cancel().await {
            Ok(_) => match running.result().await {
                // It had ended before the cancellation came.
                Ok(result) => Ended::Value(result),
                Err(ClientError::Rpc(client_ws::RpcError::Cancelled)) => Ended::Interrupted,
                Err(error) => Ended::Error(error),
            },
            Err(error) => Ended::Error(error),
        }
    };
    tokio::select! {
        ended = end => ended,
        () = interrupts.next() => Ended::GivenUp,
    }
}

/// One line about a play that takes long, on a terminal only.
struct Status {
    is_terminal: bool,
    is_shown: bool,
}

impl Status {
    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), is_shown: false }
    }

    /// What shows it.
    fn shown(&mut self, progress: &Progress) -> String {
        if !self.is_terminal {
            return String::new();
        }
        self.is_shown = true;
        format!("\r\x1b[K{}", Paint::for_stderr().dim(&format!("{}  Ctrl-C cancels", progress::line(progress))))
    }

    /// What takes it away.
    fn cleared(&mut self) -> String {
        if std::mem::take(&mut self.is_shown) { "\r\x1b[K".into() } else { String::new() }
    }
}
