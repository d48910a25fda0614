//! Helpers of the tests.

pub(crate) mod background;
pub(crate) mod eventually;
pub(crate) mod fake;
pub(crate) mod http;
pub(crate) mod machine;
#[expect(dead_code, reason = "worker_nats/tests use all of it")]
#[path = "../worker_nats/tests/nats/server.rs"]
pub(crate) mod nats;
pub(crate) mod nginx;
pub(crate) mod ports;
pub(crate) mod process;
#[expect(dead_code, reason = "only worker_nats/tests lose connections for ever")]
#[path = "../worker_nats/tests/nats/proxy.rs"]
pub(crate) mod proxy;
pub(crate) mod pty;
pub(crate) mod skipped;
pub(crate) mod tls;
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

/// Limit of every wait. Reaching it fails the test.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_circles");

pub(crate) const PASSPHRASE: &str = "correct horse";

/// Temporary home directory of a test.
pub(crate) struct Home {
    directory: TempDir,
}

/// Exit code and output of a command.
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

    /// Command that runs the binary in this home, without the test's environment.
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

    /// Runs the binary with this text on standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> CommandOutput {
        let mut child = self.command().args(args).stdin(Stdio::piped()).spawn().expect("the binary runs");
        let mut stdin = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("it reads its input");
        drop(stdin);
        command_output(&child.wait_with_output().expect("it ends"))
    }

    /// Creates a key with a low work factor, which saves a second.
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
    // Each test runs in a thread with the test's name.
    let thread = std::thread::current();
    skipped::report(thread.name().unwrap_or("a test without a name"), why);
}

/// Output of a command that was not run through a [`Home`].
pub(crate) fn command_output(output: &Output) -> CommandOutput {
    CommandOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout.clone()).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr.clone()).expect("UTF-8"),
    }
}
