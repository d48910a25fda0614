//! The loop: one message after the other, then a frame.

use std::{io, time::Duration};

use ratatui::{Terminal, backend::Backend, buffer::Buffer};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use frontend::error::CliError;

use super::{
    app::{App, AppExit},
    event::{AppEvent, Message},
    window::Effect,
};

/// Messages that wait to be taken, before whoever posts them is made to wait.
pub(crate) const QUEUE_CAPACITY: usize = 1024;

/// How often what is shown of time is brought up to date.
const TICK_INTERVAL: Duration = Duration::from_millis(200);

/// How long messages are taken before a frame is drawn, however many come.
const FRAME_INTERVAL: Duration = Duration::from_millis(16);

/// What is outside of the app: a terminal, or something in its place.
pub(crate) trait TerminalHost<B: Backend> {
    /// Puts a text on the clipboard.
    fn copy(&mut self, text: &str);
    /// Leaves the terminal to an editor for a text; `None` if nothing is to come of it.
    fn edit(&mut self, terminal: &mut Terminal<B>, text: &str) -> io::Result<Result<Option<String>, CliError>>;
    /// Leaves the terminal to the shell until it gives it back.
    fn suspend(&mut self, terminal: &mut Terminal<B>) -> io::Result<()>;
    /// Has the next frame drawn anew as a whole.
    fn redraw(&mut self, terminal: &mut Terminal<B>) -> io::Result<()>;
    /// The terminal has a new size.
    fn resized(&mut self, terminal: &mut Terminal<B>, width: u16, height: u16);
    /// What the terminal said is dealt with.
    fn events_handled(&mut self);
    /// A frame was drawn.
    fn frame_drawn(&mut self, frame: &Buffer);
}

/// Runs until the app has ended; how it did.
pub(crate) async fn run<B: Backend<Error: Send + Sync + 'static>>(
    mut app: App,
    terminal: &mut Terminal<B>,
    mut queue: mpsc::Receiver<Message>,
    mut outside: impl TerminalHost<B>,
) -> io::Result<AppExit> {
    let mut ticks = interval(TICK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut has_unhandled_event = false;
    loop {
        if app.take_stale() {
            let frame = terminal.draw(|frame| app.draw(frame)).map_err(io::Error::other)?;
            outside.frame_drawn(frame.buffer);
        }
        let mut message = tokio::select! {
            Some(message) = queue.recv() => message,
            _ = ticks.tick() => Message(AppEvent::Tick),
        };
        let begun = Instant::now();
        loop {
            if let AppEvent::Terminal(ratatui::crossterm::event::Event::Resize(width, height)) = message.0 {
                outside.resized(terminal, width, height);
            }
            has_unhandled_event |= matches!(message.0, AppEvent::Terminal(_));
            app.update(message);
            loop {
                for effect in app.take_effects() {
                    match effect {
                        Effect::Copy(text) => outside.copy(&text),
                        Effect::Edit(id, text) => {
                            let edited = outside.edit(terminal, &text)?;
                            app.on_edited(id, &text, edited);
                        }
                        Effect::Suspend => outside.suspend(terminal)?,
                        Effect::Redraw => outside.redraw(terminal)?,
                    }
                }
                // What comes of one is carried out before the next.
                if app.ended().is_some() || !app.replay() {
                    break;
                }
            }
            // What comes of it may be that the terminal is left to an editor.
            if has_unhandled_event && !app.is_holding() {
                outside.events_handled();
                has_unhandled_event = false;
            }
            if let Some(ended) = app.ended() {
                return Ok(ended);
            }
            if begun.elapsed() > FRAME_INTERVAL {
                break;
            }
            let Ok(next) = queue.try_recv() else { break };
            message = next;
        }
    }
}
