//! Terminals of tests: a pseudoterminal with keyboard and screen.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    num::NonZero,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Instant,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::{BINARY, Home, WAIT_TIMEOUT, process::wait_for_end};

const ROWS: NonZero<u16> = NonZero::new(30).expect("not zero");
const COLUMNS: NonZero<u16> = NonZero::new(100).expect("not zero");

/// The binary on a terminal of 100 columns and 30 lines, with job control.
pub(crate) struct Terminal {
    child: Child,
    pub(crate) keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// All output so far, and the length that was already waited for.
    seen: String,
    taken: usize,
    /// Emulator that shows the output.
    emulator: vt100::Parser,
}

impl Terminal {
    pub(crate) fn run(home: &Home, args: &[&str]) -> Self {
        Self::run_command(home, &home.command(), args)
    }

    /// Runs the binary on a terminal of another size.
    pub(crate) fn sized(home: &Home, args: &[&str], (columns, rows): (u16, u16)) -> Self {
        let cells = |cells| NonZero::new(cells).expect("not zero");
        Self::run_sized(home, &home.command(), args, (cells(columns), cells(rows)))
    }

    /// Runs the binary with the environment of a command.
    pub(crate) fn run_command(home: &Home, command: &Command, args: &[&str]) -> Self {
        Self::run_sized(home, command, args, (COLUMNS, ROWS))
    }

    fn run_sized(home: &Home, command: &Command, args: &[&str], (columns, rows): (NonZero<u16>, NonZero<u16>)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("UTF-8");
        let size = Winsize { ws_row: rows.get(), ws_col: columns.get(), ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).expect("a size");
        let slave = || Stdio::from(OpenOptions::new().read(true).write(true).open(&name).expect("it opens"));
        let environment: Vec<_> =
            command.get_envs().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect();
        // `setsid --ctty` makes the terminal the session's own, so that Ctrl-C is a signal.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", BINARY])
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .envs(environment)
            .current_dir(home.path())
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("setsid of util-linux is there");
        let keyboard = File::from(master);
        let mut master = keyboard.try_clone().expect("a descriptor");
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal reports an error when no process has it open any more.
            loop {
                match master.read(&mut bytes) {
                    Ok(length @ 1..) => {
                        if sender.send(bytes[..length].to_vec()).is_err() {
                            return;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    _ => return,
                }
            }
        });
        Self { child, keyboard, screen, seen: String::new(), taken: 0, emulator: vt100::Parser::new(rows, columns, 0) }
    }

    pub(crate) fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("it takes keys");
    }

    /// Waits for this text in the output, after what was waited for before; returns the output before the text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + WAIT_TIMEOUT;
        loop {
            if let Some(at) = self.seen[self.taken..].find(text) {
                let before = self.seen[self.taken..self.taken + at].to_owned();
                self.taken += at + text.len();
                return before;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{text:?} does not come; on the screen:\n{}", &self.seen[self.taken..])
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.emulator.process(bytes);
        self.seen.push_str(&String::from_utf8_lossy(bytes));
    }

    /// Waits until the screen shows this text.
    pub(crate) fn wait_for_screen(&mut self, text: &str) {
        self.wait_until(text, |screen| screen.contents().contains(text));
    }

    /// Waits until the screen shows these words, wherever lines are wrapped.
    pub(crate) fn wait_for_words(&mut self, words: &str) {
        self.wait_until(words, |screen| {
            screen.contents().split_whitespace().collect::<Vec<_>>().join(" ").contains(words)
        });
    }

    /// Resizes the terminal.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let cells = |cells| NonZero::new(cells).expect("not zero");
        self.emulator.set_size(cells(rows), cells(columns));
        tcsetwinsize(&self.keyboard, size).expect("a size");
    }

    /// Waits until the screen satisfies a condition.
    pub(crate) fn wait_until(&mut self, what: &str, is_right: impl Fn(&vt100::Screen) -> bool) {
        let until = Instant::now() + WAIT_TIMEOUT;
        while !is_right(self.emulator.screen()) {
            let left = until.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what:?} does not come; on the screen:\n{}", self.emulator.screen().contents())
                }
            }
        }
    }

    /// Process of the binary, which `setsid` has executed in its own process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is there");
    }

    pub(crate) fn wait_until_ended(&self) {
        wait_for_end(Pid::from_child(&self.child));
    }

    /// Waits for the process to end; returns its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        wait_for_end(Pid::from_child(&self.child));
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
