//! The app without a terminal: the same loop and queue with a screen in memory, for tests and screenshots.

use std::{io, path::Path};

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use console::session::ShellCommand;
use frontend::{error::CliError, scratch};

use super::{
    app::App,
    event::Message,
    event_loop::{self, TerminalHost},
    setup::Setup,
    tasks::Tasks,
};

/// A running app without a terminal.
#[derive(Debug)]
pub struct HeadlessApp {
    queue: mpsc::Sender<Message>,
    frames: watch::Receiver<String>,
    copied: watch::Receiver<String>,
    ended: Option<oneshot::Receiver<io::Result<u8>>>,
}

impl HeadlessApp {
    /// Starts the app on a screen of the given size, with a scratch circle. `first` is the circle to connect to at
    /// once. Needs a multi-threaded tokio runtime.
    pub fn start(setup: Setup, first: Option<&str>, (width, height): (u16, u16)) -> Self {
        let (queue, messages) = mpsc::channel(event_loop::QUEUE_CAPACITY);
        let (to_frames, frames) = watch::channel(String::new());
        let (to_copied, copied) = watch::channel(String::new());
        let (end, ended) = oneshot::channel();
        let host = InMemoryTerminal { frames: to_frames, copied: to_copied };
        let (runtime, to_app, first) = (Handle::current(), queue.clone(), first.map(str::to_owned));
        // A Rhai engine is not `Send`, so the app stays on one thread.
        std::thread::spawn(move || {
            let scratch_circle = scratch::start(&runtime, setup.workers());
            let mut app = App::new(setup, Tasks::new(runtime.clone(), to_app), first, None);
            if let Ok((url, keypair)) = scratch_circle {
                app.add_scratch(scratch::NAME, url, keypair);
            }
            let run = async {
                let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(io::Error::other)?;
                event_loop::run(app, &mut terminal, messages, host).await
            };
            // The caller may not wait for the end.
            let _unawaited = end.send(runtime.block_on(run).map(|ended| ended.code));
        });
        Self { queue, frames, copied, ended: Some(ended) }
    }

    async fn post(&self, event: Event) {
        // An app that has ended handles nothing; the caller sees that on the screen.
        let _ended = self.queue.send(Message::terminal(event)).await;
    }

    /// Presses keys: names (`Enter`, `Tab`, `F1`, `Up`, `PageUp`, `Esc`, …), `C-x` with Ctrl, `A-x` with Alt, or a
    /// character.
    ///
    /// # Panics
    ///
    /// A key is not in one of these forms.
    pub async fn press(&self, keys: &[&str]) {
        for key in keys {
            self.post(Event::Key(parse_key(key))).await;
        }
    }

    /// Types a text; a newline is Enter.
    pub async fn write(&self, text: &str) {
        for character in text.chars() {
            let code = if character == '\n' { KeyCode::Enter } else { KeyCode::Char(character) };
            self.post(Event::Key(KeyEvent::new(code, KeyModifiers::NONE))).await;
        }
    }

    /// Pastes a text.
    pub async fn paste(&self, text: &str) {
        self.post(Event::Paste(text.to_owned())).await;
    }

    /// Resizes the screen.
    pub async fn resize(&self, width: u16, height: u16) {
        self.post(Event::Resize(width, height)).await;
    }

    /// Waits for a screen that the predicate accepts.
    ///
    /// # Errors
    ///
    /// The timeout has expired; the error is the last screen.
    pub async fn wait_until(
        &mut self,
        is_accepted: impl Fn(&str) -> bool,
        timeout: std::time::Duration,
    ) -> Result<String, String> {
        let frame = async {
            match self.frames.wait_for(|frame| is_accepted(frame)).await {
                Ok(frame) => Some(frame.clone()),
                Err(_) => None,
            }
        };
        let frame = tokio::time::timeout(timeout, frame).await.ok().flatten();
        frame.ok_or_else(|| self.frames.borrow().clone())
    }

    /// Returns the text that was last copied to the clipboard.
    pub fn clipboard(&self) -> String {
        self.copied.borrow().clone()
    }

    /// Ends the app, as a hangup does.
    pub async fn hang_up(&self) {
        // The app may have ended already.
        let _ended = self.queue.send(Message::end(129)).await;
    }

    /// Waits for the end of the app, and returns its exit code.
    ///
    /// # Errors
    ///
    /// The terminal failed, or the end was returned before.
    pub async fn end(&mut self) -> io::Result<u8> {
        match self.ended.take() {
            Some(ended) => ended.await.map_err(io::Error::other)?,
            None => Err(io::Error::other("its end was reported already")),
        }
    }
}

fn parse_key(key: &str) -> KeyEvent {
    let (modifiers, name) = match key.split_at_checked(2) {
        Some(("C-", name)) if !name.is_empty() => (KeyModifiers::CONTROL, name),
        Some(("A-", name)) if !name.is_empty() => (KeyModifiers::ALT, name),
        _ => (KeyModifiers::NONE, key),
    };
    let mut characters = name.chars();
    let code = match (name, characters.next(), characters.next()) {
        ("Enter", ..) => KeyCode::Enter,
        ("Esc", ..) => KeyCode::Esc,
        ("Tab", ..) => KeyCode::Tab,
        ("BackTab", ..) => KeyCode::BackTab,
        ("Backspace", ..) => KeyCode::Backspace,
        ("Left", ..) => KeyCode::Left,
        ("Right", ..) => KeyCode::Right,
        ("Up", ..) => KeyCode::Up,
        ("Down", ..) => KeyCode::Down,
        ("Home", ..) => KeyCode::Home,
        ("End", ..) => KeyCode::End,
        ("PageUp", ..) => KeyCode::PageUp,
        ("PageDown", ..) => KeyCode::PageDown,
        ("F1", ..) => KeyCode::F(1),
        ("F2", ..) => KeyCode::F(2),
        ("F4", ..) => KeyCode::F(4),
        (_, Some(character), None) => KeyCode::Char(character),
        _ => panic!("{key:?} is not a key"),
    };
    KeyEvent::new(code, modifiers)
}

struct InMemoryTerminal {
    frames: watch::Sender<String>,
    copied: watch::Sender<String>,
}

impl TerminalHost<TestBackend> for InMemoryTerminal {
    fn copy(&mut self, text: &str) {
        self.copied.send_replace(text.to_owned());
    }

    /// There is no terminal for an editor.
    fn edit(&mut self, _: &mut Terminal<TestBackend>, _: &str) -> io::Result<Result<Option<String>, CliError>> {
        Ok(Ok(None))
    }

    /// There is no terminal for a command.
    fn run_shell(
        &mut self,
        _: &mut Terminal<TestBackend>,
        _: &ShellCommand,
    ) -> io::Result<Result<Option<String>, CliError>> {
        Ok(Ok(None))
    }

    /// There is no terminal for an editor.
    fn open(&mut self, _: &mut Terminal<TestBackend>, _: &Path) -> io::Result<Result<bool, CliError>> {
        Ok(Ok(false))
    }

    fn ring(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_mouse(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn suspend(&mut self, _: &mut Terminal<TestBackend>) -> io::Result<()> {
        Ok(())
    }

    fn redraw(&mut self, terminal: &mut Terminal<TestBackend>) -> io::Result<()> {
        terminal.clear().map_err(io::Error::other)
    }

    fn resized(&mut self, terminal: &mut Terminal<TestBackend>, width: u16, height: u16) {
        terminal.backend_mut().resize(width, height);
    }

    fn set_title(&mut self, _: &str) {}

    fn events_handled(&mut self) {}

    fn frame_drawn(&mut self, frame: &Buffer) {
        self.frames.send_replace(text(frame));
    }
}

/// Returns the characters of a screen, without trailing spaces.
fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(buffer.area.width.max(1))) {
        let mut line = String::new();
        let mut covered = 0;
        for cell in row {
            // Cells that a wide character covers are not spaces.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            covered = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
