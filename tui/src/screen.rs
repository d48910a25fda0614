//! The real terminal: taken over, and given back whatever happens.

use std::{
    io::{self, Stdout, Write, stdout},
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    buffer::Buffer,
    crossterm::{
        cursor::Show,
        event::{self, DisableBracketedPaste, EnableBracketedPaste},
        execute,
        terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};
use rustix::process::{Signal, kill_current_process_group};
use tokio::sync::mpsc;

use super::{event::Message, event_loop::TerminalHost};
use frontend::error::CliError;
use terminal::{editor, passphrase, programs::EDITOR};

type RealBackend = CrosstermBackend<Stdout>;

/// Whether the terminal is taken over now.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether another program has it, whose affair Ctrl-C is.
static IS_LENT: AtomicBool = AtomicBool::new(false);

/// The terminal, for as long as this lives.
pub(crate) struct AlternateScreen {
    pub terminal: Terminal<RealBackend>,
}

impl AlternateScreen {
    /// Takes the terminal over. From now on a panic, in whatever thread, gives it back, says that it is a bug and ends the
    /// process: what would go on behind it could not be trusted.
    pub(crate) fn take() -> io::Result<Self> {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            hook(panic);
            std::process::exit(i32::from(frontend::error::BUG_EXIT_CODE));
        }));
        enter()?;
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(stdout()))? })
    }
}

impl Drop for AlternateScreen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    IS_TAKEN.store(true, Ordering::SeqCst);
    let entered = enable_raw_mode().and_then(|()| execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste));
    entered.inspect_err(|_| give_back())
}

/// The terminal as it was. If something of it fails there is nothing that could be done.
fn give_back() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        let _untidy = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _untidy = disable_raw_mode();
    }
}

/// Whether a program has the terminal that was left to it.
pub(crate) fn is_lent() -> bool {
    IS_LENT.load(Ordering::SeqCst)
}

/// Posts what the terminal says, from a thread of its own, until nobody takes it or the terminal is gone. The next is read
/// once the one before is dealt with: if that leaves the terminal to someone, the keys are theirs.
pub(crate) fn listen(queue: mpsc::Sender<Message>) -> RealTerminal {
    let (dealt_with, is_dealt_with) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if queue.blocking_send(Message::terminal(event)).is_err() || is_dealt_with.recv().is_err() {
                return;
            }
        }
        // Its user has gone with it, as a hangup says, too.
        let _ended = queue.blocking_send(Message::end(129));
    });
    RealTerminal { dealt_with }
}

/// Whether the editor that is set is not there, as far as that can be told without starting it. The shell that starts it would
/// write so on the terminal, where it would be found much later.
fn is_editor_missing() -> bool {
    let Some((_, editor)) = EDITOR.from_env() else { return false };
    let program = editor.split_whitespace().next().unwrap_or_default();
    // Of anything else only a shell knows what it comes to.
    let is_plain = |character: char| character.is_alphanumeric() || "_-+./".contains(character);
    if program.is_empty() || !program.chars().all(is_plain) {
        return false;
    }
    let mut look = Command::new("sh");
    look.args(["-c", "command -v -- \"$1\"", "sh", program]);
    look.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    passphrase::remove_variables(&mut look).status().is_ok_and(|status| !status.success())
}

/// How a shell ends that does not find a program.
fn not_found_status() -> ExitStatus {
    ExitStatus::from_raw(127 << 8)
}

/// Does outside what the app wants done there.
pub(crate) struct RealTerminal {
    dealt_with: std::sync::mpsc::Sender<()>,
}

impl TerminalHost<RealBackend> for RealTerminal {
    fn copy(&mut self, text: &str) {
        // OSC 52: the terminal puts it on its clipboard, also through ssh. One that cannot shows nothing of it.
        let _unseen = write!(stdout(), "\x1b]52;c;{}\x07", STANDARD.encode(text)).and_then(|()| stdout().flush());
    }

    fn edit(
        &mut self,
        terminal: &mut Terminal<RealBackend>,
        text: &str,
    ) -> io::Result<Result<Option<String>, CliError>> {
        give_back();
        IS_LENT.store(true, Ordering::SeqCst);
        let edited =
            editor::edit(text, |command| if is_editor_missing() { Ok(not_found_status()) } else { command.status() });
        IS_LENT.store(false, Ordering::SeqCst);
        enter()?;
        self.redraw(terminal)?;
        Ok(edited)
    }

    fn suspend(&mut self, terminal: &mut Terminal<RealBackend>) -> io::Result<()> {
        give_back();
        // The shell's whole job, as the terminal's own Ctrl-Z would have it. It returns when the shell continues it.
        kill_current_process_group(Signal::TSTP)?;
        enter()?;
        self.redraw(terminal)
    }

    /// Not by the library's own clearing: that one asks the terminal where its cursor is, and the answer would be read by
    /// the thread that reads keys.
    fn redraw(&mut self, terminal: &mut Terminal<RealBackend>) -> io::Result<()> {
        execute!(stdout(), Clear(ClearType::All))?;
        *terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }

    fn resized(&mut self, _: &mut Terminal<RealBackend>, _: u16, _: u16) {}

    fn events_handled(&mut self) {
        // A thread that has ended waits for nothing.
        let _ended = self.dealt_with.send(());
    }

    fn frame_drawn(&mut self, _: &Buffer) {}
}
