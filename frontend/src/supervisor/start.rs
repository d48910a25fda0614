//! Starts a supervisor, and sees to it that there is never more than one.

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

/// How long one that ends may take: its circles are killed long before that.
const END_TIMEOUT: Duration = Duration::from_mins(1);

/// What a supervisor is given of the environment: how much is logged. Where its files are it is told by its arguments.
const INHERITED_VARIABLES: [&str; 1] = ["CIRCLES_LOG"];

/// The locks of a supervisor, unless one runs already: that of its life, and that of its start, which is to be held until it
/// listens, so that who looks for it meanwhile waits.
pub fn acquire_locks(runtime: &Runtime, place: &SupervisorFiles) -> Result<(LockGuard, LockGuard), CliError> {
    let starting = wait_for_lock(place, SupervisorFiles::lock_start, END_TIMEOUT)?;
    if runtime.block_on(connect_unless_ending(place))?.is_some() {
        return Err(CliError::usage(
            "cannot launch the circles here",
            format!("a supervisor of {} runs already", place.config().display()),
            "tell that one: circles up, down, restart, status; or end it: circles down",
        ));
    }
    Ok((wait_for_lock(place, SupervisorFiles::lock_supervisor, END_TIMEOUT)?, starting))
}

/// A lock that another process may hold, which is to end.
fn wait_for_lock(
    place: &SupervisorFiles,
    lock: impl FnOnce(&SupervisorFiles) -> Result<LockGuard, SupervisorFilesError> + Send + 'static,
    patience: Duration,
) -> Result<LockGuard, CliError> {
    let (place, (send, locked)) = (place.clone(), std::sync::mpsc::channel());
    // Nothing ends such a wait but the lock, or this process.
    std::thread::spawn(move || {
        let _unawaited = send.send(lock(&place));
    });
    let locked = locked.recv_timeout(patience).map_err(|_| {
        let why = format!("it has not ended after {} s, or another is being started all that time", patience.as_secs());
        CliError::supervisor("the supervisor is in the way", why, "see what holds it up: ps; end it, and try again")
    })?;
    Ok(locked?)
}

/// Connects to the supervisor that runs, or starts one that starts those circles. Who wants the same meanwhile waits for it.
pub(super) async fn find_or_start(
    supervisors: &SupervisorSetup,
    place: &SupervisorFiles,
    names: &[String],
    patience: Duration,
) -> Result<ControlClient, CliError> {
    let late = |_| {
        let why = format!("it does not listen after {} s", patience.as_secs_f64());
        CliError::supervisor(
            "cannot start the supervisor",
            why,
            "give it longer: --timeout; or see what holds it up: ps",
        )
    };
    let found = async {
        let (waiting, (send, locked)) = (place.clone(), oneshot::channel());
        // Not one of the runtime's threads, whose end that waits for.
        std::thread::spawn(move || {
            let _unawaited = send.send(waiting.lock_start());
        });
        let _starting = locked.await.expect("waiting for a lock does not panic")?;
        if let Some(client) = connect_unless_ending(place).await? {
            return Ok(client);
        }
        let mut starting = StartingChild(Some(spawn(supervisors, place, names)?));
        let child = starting.0.as_mut().expect("just started");
        wait_until_listening(child).await?;
        starting.detach();
        let client = ControlClient::connect(place).await.map_err(control_error)?;
        client.ok_or_else(|| control_error(ControlError::Disconnected))
    };
    tokio::time::timeout(patience, found).await.map_err(late)?
}

/// A supervisor that does not listen yet; killed when it is dropped.
struct StartingChild(Option<Child>);

impl StartingChild {
    /// From here on it is to live, whatever becomes of this process.
    fn detach(mut self) {
        let Some(mut child) = self.0.take() else { return };
        drop(child.stderr.take());
        // Once it has ended nothing is to be left of it here.
        tokio::spawn(async move { child.wait().await });
    }
}

impl Drop for StartingChild {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended already.
            let _killed = child.start_kill();
        }
    }
}

/// Waits until nothing is left of a supervisor that is ending, so that who asks next finds none.
pub fn wait_for_end(runtime: &Runtime, place: &SupervisorFiles) -> Result<(), CliError> {
    // Without it, one that is started meanwhile would be waited for.
    let _starting = wait_for_lock(place, SupervisorFiles::lock_start, END_TIMEOUT)?;
    let is_running = match runtime.block_on(connect_with_status(place)) {
        Ok(Some((_, statuses))) => !statuses.is_ending,
        Ok(None) | Err(ControlError::Disconnected | ControlError::Place(SupervisorFilesError::Unreachable { .. })) => {
            false
        }
        Err(error) => return Err(control_error(error)),
    };
    if !is_running {
        wait_for_lock(place, SupervisorFiles::lock_supervisor, END_TIMEOUT)?;
    }
    Ok(())
}

fn spawn(supervisors: &SupervisorSetup, place: &SupervisorFiles, names: &[String]) -> Result<Child, CliError> {
    let Directories { run, state } = &supervisors.directories;
    let mut command = Command::new(&supervisors.program);
    command
        .arg("supervise")
        .arg("--config")
        .arg(place.config())
        .arg("--run-directory")
        .arg(run)
        .arg("--state-directory")
        .arg(state)
        .arg("--")
        .args(names)
        .env_clear()
        .envs(INHERITED_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // It keeps no directory from being unmounted.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|error| CliError::io("cannot start the supervisor", &error, "are there too many processes?"))
}

/// Bytes of what a supervisor that does not start is quoted with.
const MAX_STDERR_BYTES: u64 = 16 << 10;

/// Waits until it listens.
async fn wait_until_listening(child: &mut Child) -> Result<(), CliError> {
    let stdout = child.stdout.take().expect("piped");
    let mut lines = BufReader::new(stdout).lines();
    if let Ok(Some(line)) = lines.next_line().await
        && line == LISTENING_LINE
    {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(stderr) = child.stderr.take() {
        // Without its words there is still its end to be told.
        let _unreadable = stderr.take(MAX_STDERR_BYTES).read_to_string(&mut said).await;
    }
    let said = said.trim().trim_start_matches("error: ").to_owned();
    Err(CliError::supervisor("the supervisor does not start", said, "circles launch does the same in the foreground"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_wait_times_out() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let place =
            SupervisorFiles::create(&config, &home.path().join("run"), &home.path().join("state")).expect("a place");
        let held = place.lock_supervisor().expect("free");
        let late =
            wait_for_lock(&place, SupervisorFiles::lock_supervisor, Duration::from_millis(1)).expect_err("it is held");
        assert_eq!(late.exit_code(), 3);
        drop(held);
        wait_for_lock(&place, SupervisorFiles::lock_supervisor, END_TIMEOUT).expect("it is free");
    }
}
