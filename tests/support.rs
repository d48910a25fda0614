//! What the tests stand on.

pub(crate) mod background;
pub(crate) mod eventually;
pub(crate) mod fake;
pub(crate) mod http;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod pty;
pub(crate) mod skipped;
pub(crate) mod wire;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use keys::{
    KeyPair,
    keystore::{Keystore, WorkFactor},
};
use tempfile::TempDir;

pub(crate) use eventually::eventually;
pub(crate) use ports::free_port;

/// Bounds every wait: reaching it is a failure, never a way to pass.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_circles");

pub(crate) const PASSPHRASE: &str = "correct horse";

/// A home directory of a test's own.
pub(crate) struct Home {
    directory: TempDir,
}

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommandOutput {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a home directory") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn keys_directory(&self) -> PathBuf {
        self.path().join("data/circles/keys")
    }

    /// The binary, in this home and without anything else of the test's environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command
            .env_clear()
            .env("HOME", self.path())
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("CIRCLES_PASSPHRASE", PASSPHRASE)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> CommandOutput {
        command_output(&self.command().args(args).output().expect("the binary runs"))
    }

    /// With that on standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> CommandOutput {
        let mut child = self.command().args(args).stdin(Stdio::piped()).spawn().expect("the binary runs");
        let mut stdin = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("it reads its input");
        drop(stdin);
        command_output(&child.wait_with_output().expect("it ends"))
    }

    /// A key in this home, made without the second that a real one takes.
    pub(crate) fn add_key(&self, name: &str) -> KeyPair {
        let keypair = KeyPair::generate().expect("a key");
        Keystore::at(self.keys_directory())
            .create(&name.parse().expect("a name"), &keypair, PASSPHRASE, WorkFactor::Log2(1))
            .expect("it is stored");
        keypair
    }
}

/// Reports that the running test is skipped, and why. The test returns after that.
pub(crate) fn skip(why: &str) {
    // Each test has a thread of its own, which is named after the test.
    let thread = std::thread::current();
    skipped::report(thread.name().unwrap_or("a test without a name"), why);
}

/// What it did, of a command that was not run by a [`Home`].
pub(crate) fn command_output(output: &Output) -> CommandOutput {
    CommandOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout.clone()).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr.clone()).expect("UTF-8"),
    }
}
