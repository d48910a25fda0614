//! The real terminal: taken over, and restored in every case.

use std::{
    io::{self, Stdout, Write, stdout},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender},
    },
};

use console::session::ShellCommand;
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    buffer::Buffer,
    crossterm::{
        cursor::Show,
        event::{self, DisableBracketedPaste, EnableBracketedPaste},
        execute,
        style::Print,
        terminal::{
            Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
        },
    },
};
use rustix::process::{Signal, kill_current_process_group};
use tokio::sync::mpsc;

use super::{
    background_query::{ANSWER_PAUSE, AnswerFilter, Input, PendingAnswer},
    event::Message,
    event_loop::TerminalHost,
};
use frontend::error::CliError;
use terminal::{clipboard, editor, passphrase, programs::EDITOR, shell};

type RealBackend = CrosstermBackend<Stdout>;

/// Has the terminal remember the title of its window, and show it again. Terminals without this ignore it.
const SAVE_TITLE: &str = "\x1b[22;2t";
const RESTORE_TITLE: &str = "\x1b[23;2t";

/// Whether the app has the terminal.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether another program has the terminal, so that Ctrl-C is meant for that program.
static IS_LENT: AtomicBool = AtomicBool::new(false);

/// Whether the terminal reports the mouse while the app has it.
static HAS_MOUSE: AtomicBool = AtomicBool::new(true);

/// Rings the bell.
const BELL: &str = "\x07";

/// Reports of buttons, the wheel and drags, in the format for large screens. Not of every move: that would be an event
/// for each cell that the pointer passes.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1002l\x1b[?1000l";

/// The terminal, as long as this value lives.
pub(crate) struct AlternateScreen {
    pub terminal: Terminal<RealBackend>,
}

impl AlternateScreen {
    /// Takes over the terminal. From now on a panic in any thread restores the terminal, reports a bug and ends the
    /// process, because the app could not be trusted any more. `has_mouse` says whether the terminal reports the mouse
    /// at first.
    pub(crate) fn take(has_mouse: bool) -> io::Result<Self> {
        HAS_MOUSE.store(has_mouse, Ordering::SeqCst);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            hook(panic);
            std::process::exit(i32::from(frontend::error::BUG_EXIT_CODE));
        }));
        enter()?;
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(stdout()))? })
    }

    /// Restores the terminal. The screen comes first: an answer of the terminal that is still to come needs the raw
    /// mode, because it would become a part of the next command line.
    pub(crate) fn end(self, answer: &PendingAnswer) {
        leave();
        answer.wait();
        drop(self);
    }
}

impl Drop for AlternateScreen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    IS_TAKEN.store(true, Ordering::SeqCst);
    let entered = enable_raw_mode()
        .and_then(|()| execute!(stdout(), Print(SAVE_TITLE), EnterAlternateScreen, EnableBracketedPaste))
        .and_then(|()| if HAS_MOUSE.load(Ordering::SeqCst) { write_mode(MOUSE_ON) } else { Ok(()) });
    entered.inspect_err(|_| give_back())
}

/// Restores the terminal. There is nothing to do about a failure.
fn give_back() {
    leave();
    let _untidy = disable_raw_mode();
}

/// Leaves the screen, if the app has it.
fn leave() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        let _untidy = write_mode(MOUSE_OFF);
        let _untidy = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Print(RESTORE_TITLE), Show);
    }
}

fn write_mode(sequence: &str) -> io::Result<()> {
    write!(stdout(), "{sequence}").and_then(|()| stdout().flush())
}

/// Returns whether another program has the terminal.
pub(crate) fn is_lent() -> bool {
    IS_LENT.load(Ordering::SeqCst)
}

/// Posts the terminal's events from a thread of its own, until the app or the terminal is gone. The thread reads the
/// next event only when the app has handled the last one: if that hands the terminal to another program, the next keys
/// are meant for that program. Without the app, the thread reads on while an answer of the terminal is to come.
pub(crate) fn listen(queue: mpsc::Sender<Message>, mut filter: AnswerFilter) -> (RealTerminal, PendingAnswer) {
    let (handled, handled_receiver) = std::sync::mpsc::channel();
    let (settled, settled_receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || post_events(&queue, &handled_receiver, (&mut filter, settled), next_inputs));
    (RealTerminal { handled }, PendingAnswer::new(settled_receiver))
}

/// Posts what `next` reads, until the terminal is gone, or the app is gone and no answer is to come. Drops `settled` when
/// no answer is to come.
fn post_events(
    queue: &mpsc::Sender<Message>,
    handled: &Receiver<()>,
    (filter, settled): (&mut AnswerFilter, Sender<()>),
    mut next: impl FnMut(&mut AnswerFilter) -> io::Result<Vec<Input>>,
) {
    let (mut has_app, mut settled) = (true, Some(settled));
    while has_app || filter.is_waiting() {
        if !filter.is_waiting() {
            drop(settled.take());
        }
        let Ok(inputs) = next(filter) else {
            // The user is gone with the terminal, as after a hangup.
            let _ended = queue.blocking_send(Message::end(129));
            return;
        };
        for input in inputs {
            has_app = has_app
                && match input {
                    Input::Event(event) => {
                        queue.blocking_send(Message::terminal(event)).is_ok() && handled.recv().is_ok()
                    }
                    Input::Answer(background) => queue.blocking_send(Message::background(background)).is_ok(),
                };
        }
    }
}

/// Waits for the next event. What may be the begin of an answer of the terminal does not wait long for the rest.
fn next_inputs(filter: &mut AnswerFilter) -> io::Result<Vec<Input>> {
    if filter.is_holding() && !event::poll(ANSWER_PAUSE)? {
        return Ok(filter.release());
    }
    Ok(filter.take(event::read()?))
}

/// Returns whether the configured editor does not exist, as far as that is known without starting it. The shell that
/// starts it would report that on the terminal, where the user would find it much later.
fn is_editor_missing() -> bool {
    let Some((_, editor)) = EDITOR.from_env() else { return false };
    let program = editor.split_whitespace().next().unwrap_or_default();
    // Anything else needs a shell to be evaluated.
    let is_plain = |character: char| character.is_alphanumeric() || "_-+./".contains(character);
    if program.is_empty() || !program.chars().all(is_plain) {
        return false;
    }
    let mut look = Command::new("sh");
    look.args(["-c", "command -v -- \"$1\"", "sh", program]);
    look.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    passphrase::remove_variables(&mut look).status().is_ok_and(|status| !status.success())
}

/// Waits until the user has read the output of a command. The terminal hands over whole lines meanwhile.
fn wait_for_enter() {
    let asked = write!(stdout(), "\n[Enter returns to circles]").and_then(|()| stdout().flush());
    let mut line = [0; 256];
    // Returns at the end of a line, at the end of the input, and at a signal.
    while asked.is_ok() && rustix::io::read(io::stdin(), &mut line).is_ok_and(|length| length == line.len()) {}
}

/// Exit status of a shell that does not find a program.
fn not_found_status() -> ExitStatus {
    ExitStatus::from_raw(127 << 8)
}

/// The real terminal as the environment of the app.
pub(crate) struct RealTerminal {
    handled: Sender<()>,
}

impl RealTerminal {
    /// Lends the terminal to another program.
    fn lend<T>(&mut self, terminal: &mut Terminal<RealBackend>, run: impl FnOnce() -> T) -> io::Result<T> {
        give_back();
        IS_LENT.store(true, Ordering::SeqCst);
        let ended = run();
        IS_LENT.store(false, Ordering::SeqCst);
        enter()?;
        self.redraw(terminal)?;
        Ok(ended)
    }
}

fn run_editor(command: &mut Command) -> io::Result<ExitStatus> {
    if is_editor_missing() { Ok(not_found_status()) } else { command.status() }
}

impl TerminalHost<RealBackend> for RealTerminal {
    fn copy(&mut self, text: &str) {
        // The loop that reads the terminal notices a terminal that is gone.
        let _unseen = clipboard::copy(text);
    }

    fn edit(
        &mut self,
        terminal: &mut Terminal<RealBackend>,
        text: &str,
    ) -> io::Result<Result<Option<String>, CliError>> {
        self.lend(terminal, || editor::edit(text, run_editor))
    }

    fn open(&mut self, terminal: &mut Terminal<RealBackend>, file: &Path) -> io::Result<Result<bool, CliError>> {
        self.lend(terminal, || editor::open(file, run_editor))
    }

    fn run_shell(
        &mut self,
        terminal: &mut Terminal<RealBackend>,
        command: &ShellCommand,
    ) -> io::Result<Result<Option<String>, CliError>> {
        self.lend(terminal, || {
            let ended = shell::run(command, Command::status);
            // A user who leaves an interactive shell has seen its output.
            if !command.command.is_empty() && ended.is_ok() {
                wait_for_enter();
            }
            ended
        })
    }

    fn ring(&mut self) -> io::Result<()> {
        write_mode(BELL)
    }

    fn set_mouse(&mut self, is_on: bool) -> io::Result<()> {
        HAS_MOUSE.store(is_on, Ordering::SeqCst);
        write_mode(if is_on { MOUSE_ON } else { MOUSE_OFF })
    }

    fn suspend(&mut self, terminal: &mut Terminal<RealBackend>) -> io::Result<()> {
        give_back();
        // The whole job of the shell, as with the terminal's own Ctrl-Z. Returns when the shell continues the job.
        kill_current_process_group(Signal::TSTP)?;
        enter()?;
        self.redraw(terminal)
    }

    /// Clears the screen without the library's function, which asks the terminal for the cursor position: the thread
    /// that reads keys would get the answer.
    fn redraw(&mut self, terminal: &mut Terminal<RealBackend>) -> io::Result<()> {
        execute!(stdout(), Clear(ClearType::All))?;
        *terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }

    fn resized(&mut self, _: &mut Terminal<RealBackend>, _: u16, _: u16) {}

    fn set_title(&mut self, title: &str) {
        // A terminal that does not know the sequence ignores it.
        let _unseen = execute!(stdout(), SetTitle(title));
    }

    fn events_handled(&mut self) {
        // A thread that has ended waits for nothing.
        let _ended = self.handled.send(());
    }

    fn frame_drawn(&mut self, _: &Buffer) {}
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::TryRecvError;

    use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

    use super::*;

    fn key(letter: char, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(letter), modifiers))
    }

    /// The keys that the terminal library makes of the answer to the question for the background.
    fn answer() -> impl Iterator<Item = Event> {
        let text = "11;rgb:ffff/ffff/ffff".chars().map(|letter| key(letter, KeyModifiers::NONE));
        [key(']', KeyModifiers::ALT)].into_iter().chain(text).chain([key('\\', KeyModifiers::ALT)])
    }

    /// Reads events while the app lives and after its end. Returns how many events are left, and for each event whether
    /// an answer was to come when it was read.
    fn read(is_waiting: bool, has_app: bool) -> (usize, Vec<bool>) {
        let (queue, messages) = mpsc::channel(100);
        let messages = has_app.then_some(messages);
        let (handled, handled_receiver) = std::sync::mpsc::channel();
        for _ in 0..100 {
            handled.send(()).expect("the test listens");
        }
        let (settled, settled_receiver) = std::sync::mpsc::channel();
        let typed = ['q', 'l', 's'].map(|letter| key(letter, KeyModifiers::NONE));
        let mut events = typed.clone().into_iter().chain(answer()).chain(typed);
        let mut filter = AnswerFilter::new(is_waiting);
        let mut was_awaited = Vec::new();
        let next = |filter: &mut AnswerFilter| {
            was_awaited.push(settled_receiver.try_recv() == Err(TryRecvError::Empty));
            let event = events.next().ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            Ok(filter.take(event))
        };
        post_events(&queue, &handled_receiver, (&mut filter, settled), next);
        assert_eq!(settled_receiver.try_recv(), Err(TryRecvError::Disconnected));
        drop(messages);
        (events.count(), was_awaited)
    }

    #[test]
    fn answer_that_comes_after_the_end_of_the_app_is_read_and_nothing_behind_it() {
        assert_eq!(read(true, false).0, 3);
        assert_eq!(read(false, false).0, 5 + answer().count());
    }

    #[test]
    fn answer_is_awaited_until_it_has_come() {
        let (left, was_awaited) = read(true, true);
        let before = 3 + answer().count();
        assert_eq!((left, was_awaited.iter().filter(|is_awaited| **is_awaited).count()), (0, before));
        assert!(!read(false, true).1.contains(&true));
    }
}
