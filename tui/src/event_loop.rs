//! The event loop: handles messages, then draws a frame.

use std::{io, path::Path, time::Duration};

use ratatui::{Terminal, backend::Backend, buffer::Buffer};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use console::session::ShellCommand;
use frontend::error::CliError;

use super::{
    app::{App, AppExit},
    event::{AppEvent, Message},
    window::Effect,
};

/// Capacity of the message queue; when it is full, senders wait.
pub(crate) const QUEUE_CAPACITY: usize = 1024;

/// Interval of updates of the times on the screen.
const TICK_INTERVAL: Duration = Duration::from_millis(200);

/// Longest time that messages are handled before a frame is drawn.
const FRAME_INTERVAL: Duration = Duration::from_millis(16);

/// The environment of the app: a terminal, or a substitute for tests.
pub(crate) trait TerminalHost<B: Backend> {
    /// Copies a text to the clipboard.
    fn copy(&mut self, text: &str);
    /// Hands the terminal to an editor; `None` if the edited text must not be used.
    fn edit(&mut self, terminal: &mut Terminal<B>, text: &str) -> io::Result<Result<Option<String>, CliError>>;
    /// Hands the terminal to a command in the user's shell; returns how it ended, if not well.
    fn run_shell(
        &mut self,
        terminal: &mut Terminal<B>,
        command: &ShellCommand,
    ) -> io::Result<Result<Option<String>, CliError>>;
    /// Hands the terminal to an editor for a file; false if the editor ended with an error.
    fn open(&mut self, terminal: &mut Terminal<B>, file: &Path) -> io::Result<Result<bool, CliError>>;
    /// Rings the bell.
    fn ring(&mut self) -> io::Result<()>;
    /// Turns the mouse on or off.
    fn set_mouse(&mut self, is_on: bool) -> io::Result<()>;
    /// Hands the terminal to the shell until the process is continued.
    fn suspend(&mut self, terminal: &mut Terminal<B>) -> io::Result<()>;
    /// Draws the next frame in full.
    fn redraw(&mut self, terminal: &mut Terminal<B>) -> io::Result<()>;
    /// Reports a new size of the terminal.
    fn resized(&mut self, terminal: &mut Terminal<B>, width: u16, height: u16);
    /// Sets the title of the terminal's window.
    fn set_title(&mut self, title: &str);
    /// Reports that all events of the terminal so far have been handled.
    fn events_handled(&mut self);
    /// Reports that a frame was drawn.
    fn frame_drawn(&mut self, frame: &Buffer);
}

/// Runs the app until it ends.
pub(crate) async fn run<B: Backend<Error: Send + Sync + 'static>>(
    mut app: App,
    terminal: &mut Terminal<B>,
    mut queue: mpsc::Receiver<Message>,
    mut host: impl TerminalHost<B>,
) -> io::Result<AppExit> {
    let mut ticks = interval(TICK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut has_unhandled_event = false;
    let mut title = String::new();
    loop {
        if app.take_stale() {
            let new_title = app.terminal_title();
            if title != new_title {
                host.set_title(&new_title);
                title = new_title;
            }
            let frame = terminal.draw(|frame| app.draw(frame)).map_err(io::Error::other)?;
            host.frame_drawn(frame.buffer);
        }
        let mut message = tokio::select! {
            Some(message) = queue.recv() => message,
            _ = ticks.tick() => Message(AppEvent::Tick),
        };
        let started_at = Instant::now();
        loop {
            if let AppEvent::Terminal(ratatui::crossterm::event::Event::Resize(width, height)) = message.0 {
                host.resized(terminal, width, height);
            }
            has_unhandled_event |= matches!(message.0, AppEvent::Terminal(_));
            app.update(message);
            loop {
                for effect in app.take_effects() {
                    if matches!(effect, Effect::Edit(..) | Effect::Shell(..) | Effect::Open(_) | Effect::Suspend) {
                        // Another program has had the terminal, and may have set its title.
                        title.clear();
                    }
                    match effect {
                        Effect::Copy(text) => host.copy(&text),
                        Effect::Edit(id, text) => {
                            let edited = host.edit(terminal, &text)?;
                            app.on_edited(id, &text, edited);
                        }
                        Effect::Shell(id, command) => {
                            let ended = host.run_shell(terminal, &command)?;
                            app.on_shell_ended(id, ended);
                        }
                        Effect::Open(file) => {
                            let edited = host.open(terminal, &file)?;
                            app.on_config_edited(edited);
                        }
                        Effect::Bell => host.ring()?,
                        Effect::Mouse(is_on) => host.set_mouse(is_on)?,
                        Effect::Suspend => host.suspend(terminal)?,
                        Effect::Redraw => host.redraw(terminal)?,
                    }
                }
                // The effects of one event are carried out before the next event.
                if app.ended().is_some() || !app.replay() {
                    break;
                }
            }
            // Not earlier: an effect may be to hand the terminal to an editor.
            if has_unhandled_event && !app.is_holding() {
                host.events_handled();
                has_unhandled_event = false;
            }
            if let Some(ended) = app.ended() {
                return Ok(ended);
            }
            if started_at.elapsed() > FRAME_INTERVAL {
                break;
            }
            let Ok(next) = queue.try_recv() else { break };
            message = next;
        }
    }
}
