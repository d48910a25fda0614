//! Rendering of a running input: prints, values, errors, Ctrl-C, and requests to the REPL.

use console::session::{DisplayKind, DisplayLines, SessionEvent, SessionHandle, SessionRequest, no_key_error};
use frontend::{error::CliError, text::StyledLine};
use keys::keystore::KeyName;
use protocol::methods::{Output, Stream};
use terminal::{
    modes::Interrupts,
    output::{self, OutputLabel, Paint},
    printer::Printer,
    status_line::STATUS_LINE_INTERVAL,
};
use tokio::sync::watch;
use unicode_width::UnicodeWidthStr;

use super::{feed::Subscription, status_line::StatusLine};

/// Outcome of an input.
#[derive(Debug, Default)]
pub(super) struct InputResult {
    /// Lines for the pager, or for the screen if they fit.
    pub(super) listing: Vec<StyledLine>,
    /// Inputs that were not executed.
    pub(super) returned_inputs: Vec<String>,
    /// Request that the session passes on to the REPL.
    pub(super) request: Option<SessionRequest>,
}

/// A request that the session waits for.
pub(super) enum AwaitedRequest {
    /// Unlock this key.
    Key(KeyName),
    /// Open sessions on these circles.
    Circles(Vec<String>),
}

/// Renders events until the input has finished, or until the session waits for a request.
pub(super) struct InputRenderer {
    printer: Printer,
    status: StatusLine,
    result: InputResult,
    /// Columns of the widest label in a fan-out.
    label_width: usize,
    /// Number of times Ctrl-C was pressed: from then on the renderer does not wait for the reader of its output.
    interrupts: watch::Sender<u32>,
}

impl InputRenderer {
    pub(super) fn new() -> Self {
        let (interrupts, _) = watch::channel(0);
        Self {
            printer: Printer::start(),
            status: StatusLine::new(),
            result: InputResult::default(),
            label_width: 0,
            interrupts,
        }
    }

    /// Renders events. Returns a request that the session waits for; `None` when the input has finished.
    ///
    /// # Errors
    ///
    /// The output is closed.
    pub(super) async fn next(
        &mut self,
        session: &SessionHandle,
        subscription: &mut Subscription,
        interrupts: &mut Interrupts,
    ) -> Result<Option<AwaitedRequest>, CliError> {
        let pressed = self.interrupts.clone();
        let cancelling = async {
            loop {
                interrupts.next().await;
                // If the queue is full, an earlier cancellation is in it.
                let _full = session.cancel();
                pressed.send_modify(|count| *count += 1);
            }
        };
        tokio::select! {
            request = self.render(session, subscription) => request,
            () = cancelling => Ok(None),
        }
    }

    async fn render(
        &mut self,
        session: &SessionHandle,
        subscription: &mut Subscription,
    ) -> Result<Option<AwaitedRequest>, CliError> {
        let mut tick = tokio::time::interval(STATUS_LINE_INTERVAL);
        loop {
            let event = tokio::select! {
                biased;
                event = subscription.events.next() => event,
                _ = tick.tick() => {
                    let text = self.status.show(&session.state());
                    self.note(text).await?;
                    continue;
                }
            };
            match event {
                Some(SessionEvent::Output(output, label)) => self.output(output, label.as_deref()).await?,
                Some(SessionEvent::Display(shown)) => self.show(shown).await?,
                Some(SessionEvent::ConnectFailed(error) | SessionEvent::NotAdmitted(_, error)) => {
                    self.show_lines(&error.lines(output::stderr_columns())).await?;
                }
                Some(SessionEvent::InputsReturned(inputs)) => {
                    self.result.returned_inputs.extend(inputs);
                    if session.state().waiting == 0 && !session.state().is_busy() {
                        return Ok(None);
                    }
                }
                Some(SessionEvent::Request(SessionRequest::Unlock(name))) => {
                    self.clear().await?;
                    return Ok(Some(AwaitedRequest::Key(name)));
                }
                Some(SessionEvent::Request(SessionRequest::FanOut(labels))) => {
                    self.clear().await?;
                    self.label_width = labels.iter().map(|label| label.width()).max().unwrap_or_default();
                    return Ok(Some(AwaitedRequest::Circles(labels)));
                }
                Some(SessionEvent::Request(SessionRequest::NoKey(_))) => {
                    self.show_lines(&no_key_error(session).lines(output::stderr_columns())).await?;
                    // Inputs that wait for a key must not wait here. A session that takes no input has ended.
                    let _ended = session.cancel();
                }
                Some(SessionEvent::Request(request)) => self.result.request = Some(request),
                Some(SessionEvent::InputFinished) | None => return Ok(None),
                Some(
                    SessionEvent::Connected { .. }
                    | SessionEvent::Ready
                    | SessionEvent::ConnectionLost
                    | SessionEvent::InputStarted(_)
                    | SessionEvent::CallRefused(_),
                ) => {}
            }
        }
    }

    /// Waits until everything is written, or until the user presses Ctrl-C.
    pub(super) async fn finish(mut self, interrupts: &mut Interrupts) -> Result<InputResult, CliError> {
        self.clear().await?;
        tokio::select! {
            written = self.printer.finish() => written?,
            () = interrupts.next() => {}
        }
        Ok(self.result)
    }

    async fn output(&mut self, output: Output, label: Option<&str>) -> Result<(), CliError> {
        self.clear().await?;
        // Output after a cancellation is dropped.
        if *self.interrupts.borrow() > 0 {
            return Ok(());
        }
        let printer = &self.printer;
        let written = async {
            match (label.map(|label| OutputLabel::new(label, self.label_width)), output.stream) {
                (None, _) => printer.output(output).await,
                (Some(label), Stream::Debug) => printer.note(label.format_debug(&output)).await,
                (Some(label), _) => printer.text(label.format_print(&output.text)).await,
            }
        };
        self.unless_interrupted(written).await
    }

    async fn show(&mut self, shown: DisplayLines) -> Result<(), CliError> {
        self.clear().await?;
        match shown.kind {
            DisplayKind::Value => {
                let text = paint_lines(&shown.lines);
                self.unless_interrupted(self.printer.text(text)).await
            }
            DisplayKind::Listing => {
                self.result.listing.extend(shown.lines);
                Ok(())
            }
            DisplayKind::Error => self.show_lines(&shown.lines).await,
            DisplayKind::Remark | DisplayKind::Note | DisplayKind::Warning => {
                // Wrapped to the terminal's width, like all prose here.
                let lines: Vec<StyledLine> =
                    shown.lines.iter().flat_map(|line| line.wrapped(output::stderr_columns())).collect();
                self.show_lines(&lines).await
            }
        }
    }

    /// Shows lines on stderr.
    pub(super) async fn show_lines(&mut self, lines: &[StyledLine]) -> Result<(), CliError> {
        self.clear().await?;
        let paint = Paint::for_stderr();
        let text = lines.iter().map(|line| paint.line(line) + "\n").collect();
        self.note(text).await
    }

    async fn clear(&mut self) -> Result<(), CliError> {
        let text = self.status.clear();
        self.note(text).await
    }

    async fn note(&self, text: String) -> Result<(), CliError> {
        self.unless_interrupted(self.printer.note(text)).await
    }

    async fn unless_interrupted(
        &self,
        written: impl Future<Output = Result<(), frontend::error::OutputError>>,
    ) -> Result<(), CliError> {
        let mut pressed = self.interrupts.subscribe();
        tokio::select! {
            biased;
            written = written => Ok(written?),
            _ = pressed.changed() => Ok(()),
        }
    }
}

/// Formats lines for stdout.
pub(super) fn paint_lines(lines: &[StyledLine]) -> String {
    let paint = Paint::for_stdout();
    lines.iter().map(|line| paint.line(line) + "\n").collect()
}
