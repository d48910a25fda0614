//! `:each`: one script on several circles.

use std::time::Instant;

use client_ws::{ClientError, PlayEvent, PlayResult, RpcError};
use protocol::methods::Stream;
use unicode_width::UnicodeWidthStr;

use super::{
    MARGIN, Repl,
    running::{self, Status},
    say, unless_interrupted,
};
use console::{LAST_VALUE, columns, fan_out::{self, Happened}, too_large, truncate, value};
use frontend::{error::CliError, report, text::{Line, Size}};
use terminal::{modes::Interrupts, printer::Printer, printing::{self, Label}, waiting};

/// How each of them ended.
type Ends = Vec<Option<End>>;

enum End {
    Answered(Result<PlayResult, ClientError>),
    /// It was cancelled here.
    Cancelled,
}

impl Repl {
    /// Plays on each of the circles, and shows what they answer side by side. Sessions that are opened for it stay open.
    pub(super) fn each(&mut self, places: &[String], script: &str) -> Result<(), CliError> {
        let opened = self.open(places, script);
        if opened.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let asking: Vec<_> = opened.iter().map(|(index, _)| self.sessions.nth(*index).link.line().clone()).collect();
        let _asking: Vec<_> = asking.iter().map(|line| line.asking()).collect();
        let names: Vec<&str> = opened.iter().map(|(_, name)| name.as_str()).collect();
        let Self { runtime, sessions, interrupts, .. } = self;
        for (index, _) in &opened {
            sessions.nth_mut(*index).notebook.begin(script);
        }
        let printed = |of: usize, text: &str| sessions.nth_mut(opened[of].0).notebook.printed(text);
        let ends = runtime.block_on(async {
            let clients = asking.iter().map(|line| line.client.clone());
            let script = fan_out::Script { text: script.into(), bind: Some(LAST_VALUE.into()), ..Default::default() };
            listen(fan_out::start(clients, &script), &names, printed, interrupts).await
        })?;
        let (width, rows) = printing::stdout_size().unwrap_or((80, usize::MAX));
        let columns = columns::columns(opened.len(), width).unwrap_or(width);
        let size = Size { width: columns, height: rows.saturating_sub(MARGIN + 1) };
        let mut said = Vec::new();
        for ((index, name), ended) in opened.into_iter().zip(ends) {
            let session = self.sessions.nth_mut(index);
            let lines: Vec<Line> = match ended {
                Some(End::Answered(Ok(result))) => {
                    let lines = truncate::folded(value::lines_of(&result, columns), size);
                    session.went_well(script, result.into(), begun.elapsed());
                    lines
                }
                Some(End::Answered(Err(error))) => session.answered_wrong(script, error, columns),
                Some(End::Cancelled) => {
                    session.went_wrong(&[], false);
                    report::cancelled()
                }
                None => report::given_up(),
            };
            said.push((name, lines));
        }
        say(&columns::lines(&said, width))
    }

    /// The sessions on those circles, with what the circles are called. One that cannot be had is told, and keeps none of the
    /// others from it.
    fn open(&mut self, places: &[String], script: &str) -> Vec<(usize, String)> {
        let mut opened: Vec<(usize, String)> = Vec::new();
        for place in places {
            let Self { runtime, sessions, interrupts, .. } = self;
            let index = match runtime.block_on(unless_interrupted(interrupts, sessions.on(place))) {
                Some(Ok(index)) => index,
                Some(Err(error)) => {
                    printing::report(&error);
                    continue;
                }
                None => {
                    printing::report(&CliError::Interrupted);
                    return Vec::new();
                }
            };
            let session = sessions.nth_mut(index);
            let line = session.link.line().clone();
            let held = session.notebook.inputs();
            session.look();
            if !line.is_on() {
                // Why it could not be connected to is told.
                continue;
            }
            if session.notebook.inputs() != held {
                printing::to_stderr(&format!(
                    "{place}: not played, since its variables are gone; :each again does it\n"
                ));
            } else if let Some(why) = too_large(&line.circle().limits, script) {
                printing::to_stderr(&format!("{place}: {why}\n"));
            } else if !opened.iter().any(|(other, _)| *other == index) {
                opened.push((index, place.clone()));
            }
        }
        opened
    }
}

/// Prints what they print until all have ended. Ctrl-C cancels those that have not; another one soon after it no longer waits
/// for them.
async fn listen(
    mut plays: fan_out::Plays,
    names: &[&str],
    mut printed: impl FnMut(usize, &str),
    interrupts: &mut Interrupts,
) -> Result<Ends, CliError> {
    let width = names.iter().map(|name| name.width()).max().unwrap_or_default();
    let labels: Vec<Label> = names.iter().map(|name| Label::new(name, width)).collect();
    let mut ends: Ends = names.iter().map(|_| None).collect();
    let printer = Printer::start();
    let mut status = Status::new(Instant::now());
    let mut tick = tokio::time::interval(waiting::TICK);
    let (mut interrupted, mut is_cancelled) = (None, false);
    interrupts.forget().await;
    loop {
        tokio::select! {
            biased;
            () = interrupts.next() => {
                if interrupted.replace(Instant::now()).is_some_and(|before: Instant| before.elapsed() < running::GIVE_UP) {
                    break;
                }
                is_cancelled = true;
                plays.cancel();
            }
            happened = plays.next() => match happened {
                Some((index, Happened::Event(PlayEvent::Output(output)))) => {
                    printer.note(status.cleared()).await?;
                    printed(index, &output.text);
                    match output.stream {
                        Stream::Print => printer.text(labels[index].printed(&output.text)).await?,
                        Stream::Debug => printer.note(labels[index].debugged(&output)).await?,
                    }
                }
                Some((_, Happened::Event(_))) => {}
                // As the user wanted it: no error.
                Some((index, Happened::Ended(Err(ClientError::Rpc(RpcError::Cancelled))))) if is_cancelled => {
                    ends[index] = Some(End::Cancelled);
                }
                Some((index, Happened::Ended(ended))) => ends[index] = Some(End::Answered(ended)),
                None => break,
            },
            _ = tick.tick() => {
                status.is_cancelled = interrupted.is_some_and(|before: Instant| before.elapsed() < running::GIVE_UP);
                printer.note(status.shown()).await?;
            }
        }
    }
    printer.note(status.cleared()).await?;
    tokio::select! {
        written = printer.finish() => written?,
        () = interrupts.next() => {}
    }
    Ok(ends)
}
