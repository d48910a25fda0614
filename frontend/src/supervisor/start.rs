//! Starts a supervisor, and ensures that there is only one.

use std::{process::Stdio, time::Duration};

use launcher::{
    control::{ControlClient, ControlError},
    supervisor_files::{LockGuard, SupervisorFiles, SupervisorFilesError},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    runtime::Runtime,
    sync::oneshot,
};

use super::{Directories, LISTENING_LINE, SupervisorSetup, connect_unless_ending, connect_with_status, control_error};
use crate::error::CliError;

/// The timeout for a supervisor that shuts down. It kills its circles long before.
const END_TIMEOUT: Duration = Duration::from_mins(1);

/// The flag of `circles launch`, `up` and `supervise` with which changes of circles.json wait for `circles reload`.
const NO_WATCH_FLAG: &str = "--no-watch";

/// The variables that a supervisor inherits: the log level. Its directories are arguments.
const INHERITED_VARIABLES: [&str; 1] = ["CIRCLES_LOG"];

/// Acquires the supervisor lock and the start lock, unless a supervisor is running. The caller holds the start lock
/// until the supervisor listens, so that other processes wait for it.
pub fn acquire_locks(runtime: &Runtime, files: &SupervisorFiles) -> Result<(LockGuard, LockGuard), CliError> {
    let starting = wait_for_lock(files, SupervisorFiles::lock_start, END_TIMEOUT)?;
    if runtime.block_on(connect_unless_ending(files))?.is_some() {
        return Err(CliError::usage(
            "cannot launch the circles",
            format!("a supervisor of {} is already running", files.config().display()),
            "use it: circles up, down, restart, status; or stop it: circles down",
        ));
    }
    Ok((wait_for_lock(files, SupervisorFiles::lock_supervisor, END_TIMEOUT)?, starting))
}

/// Waits for a lock that another process may hold while it shuts down.
fn wait_for_lock(
    files: &SupervisorFiles,
    lock: impl FnOnce(&SupervisorFiles) -> Result<LockGuard, SupervisorFilesError> + Send + 'static,
    timeout: Duration,
) -> Result<LockGuard, CliError> {
    let (files, (send, locked)) = (files.clone(), std::sync::mpsc::channel());
    // The wait cannot be cancelled, so it has a thread that may outlive the timeout.
    std::thread::spawn(move || {
        let _unawaited = send.send(lock(&files));
    });
    let locked = locked.recv_timeout(timeout).map_err(|_| {
        let why = format!("another supervisor was starting or shutting down for {} s", timeout.as_secs());
        CliError::supervisor(
            "cannot lock the supervisor's files",
            why,
            "find what holds it up: ps; end it, and try again",
        )
    })?;
    Ok(locked?)
}

/// Connects to the running supervisor, or starts one that starts the named circles. Other processes wait meanwhile.
pub(super) async fn find_or_start(
    supervisors: &SupervisorSetup,
    files: &SupervisorFiles,
    names: &[String],
    timeout: Duration,
) -> Result<ControlClient, CliError> {
    let late = |_| {
        let why = format!("it is not listening after {} s", timeout.as_secs_f64());
        CliError::supervisor(
            "cannot start the supervisor",
            why,
            "allow more time: --timeout; or find what holds it up: ps",
        )
    };
    let found = async {
        let (waiting, (send, locked)) = (files.clone(), oneshot::channel());
        // Not on the runtime's blocking pool: the runtime would wait for it when it shuts down.
        std::thread::spawn(move || {
            let _unawaited = send.send(waiting.lock_start());
        });
        let _starting = locked.await.expect("waiting for a lock does not panic")?;
        if let Some(client) = connect_unless_ending(files).await? {
            return Ok(client);
        }
        let mut starting = StartingChild(Some(spawn(supervisors, files, names)?));
        let child = starting.0.as_mut().expect("just started");
        wait_until_listening(child).await?;
        starting.detach();
        let client = ControlClient::connect(files).await.map_err(control_error)?;
        client.ok_or_else(|| control_error(ControlError::Disconnected))
    };
    tokio::time::timeout(timeout, found).await.map_err(late)?
}

/// A supervisor that is not listening yet. Dropping it kills the supervisor.
struct StartingChild(Option<Child>);

impl StartingChild {
    /// Lets the supervisor outlive this process.
    fn detach(mut self) {
        let Some(mut child) = self.0.take() else { return };
        drop(child.stderr.take());
        // Reaps the process when it ends.
        tokio::spawn(async move { child.wait().await });
    }
}

impl Drop for StartingChild {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // Fails if the process has ended already.
            let _killed = child.start_kill();
        }
    }
}

/// Waits until a supervisor that is shutting down has ended.
pub fn wait_for_end(runtime: &Runtime, files: &SupervisorFiles) -> Result<(), CliError> {
    // Without the start lock, this could wait for a supervisor that starts meanwhile.
    let _starting = wait_for_lock(files, SupervisorFiles::lock_start, END_TIMEOUT)?;
    let is_running = match runtime.block_on(connect_with_status(files)) {
        Ok(Some((_, statuses))) => !statuses.is_ending,
        Ok(None) | Err(ControlError::Disconnected | ControlError::Place(SupervisorFilesError::Unreachable { .. })) => {
            false
        }
        Err(error) => return Err(control_error(error)),
    };
    if !is_running {
        wait_for_lock(files, SupervisorFiles::lock_supervisor, END_TIMEOUT)?;
    }
    Ok(())
}

fn spawn(supervisors: &SupervisorSetup, files: &SupervisorFiles, names: &[String]) -> Result<Child, CliError> {
    let Directories { run, state } = &supervisors.directories;
    let mut command = Command::new(&supervisors.program);
    command.arg("supervise");
    if !supervisors.is_watching {
        command.arg(NO_WATCH_FLAG);
    }
    command
        .arg("--config")
        .arg(files.config())
        .arg("--run-directory")
        .arg(run)
        .arg("--state-directory")
        .arg(state)
        .arg("--")
        .args(names)
        .env_clear()
        .envs(INHERITED_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // So that the supervisor does not keep a file system from being unmounted.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|error| CliError::io("cannot start the supervisor", &error, "are there too many processes?"))
}

/// The maximum length of the quoted stderr of a supervisor that does not start, in bytes.
const MAX_STDERR_BYTES: u64 = 16 << 10;

/// Waits until a new supervisor listens.
async fn wait_until_listening(child: &mut Child) -> Result<(), CliError> {
    let stdout = child.stdout.take().expect("piped");
    let mut lines = BufReader::new(stdout).lines();
    if let Ok(Some(line)) = lines.next_line().await
        && line == LISTENING_LINE
    {
        return Ok(());
    }
    let mut text = String::new();
    if let Some(stderr) = child.stderr.take() {
        // Without the text, the error still reports that the supervisor did not start.
        let _unreadable = stderr.take(MAX_STDERR_BYTES).read_to_string(&mut text).await;
    }
    let why = text.trim().trim_start_matches("error: ").to_owned();
    Err(CliError::supervisor("the supervisor did not start", why, "try in the foreground: circles launch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_wait_times_out() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let files =
            SupervisorFiles::create(&config, &home.path().join("run"), &home.path().join("state")).expect("the files");
        let held = files.lock_supervisor().expect("free");
        let late =
            wait_for_lock(&files, SupervisorFiles::lock_supervisor, Duration::from_millis(1)).expect_err("it is held");
        assert_eq!(late.exit_code(), 3);
        drop(held);
        wait_for_lock(&files, SupervisorFiles::lock_supervisor, END_TIMEOUT).expect("it is free");
    }
}
