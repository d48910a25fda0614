//! Files of a supervisor: how clients find it, and how there is never more than one.
//!
//! Its socket is in the user's runtime directory, which disappears at logout. Its locks are in the state directory,
//! which stays, so that they still name the supervisor when the socket is gone.

mod lock;
mod private_directory;

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

pub use lock::LockGuard;
use lock::LockHolder;
use private_directory::PrivateDirectory;

/// Bytes of the digest that distinguishes configurations, written as hex.
const DIGEST_BYTES: usize = 8;

// File names.
const SOCKET_FILE: &str = "socket";
const START_LOCK_FILE: &str = "starting";
const SUPERVISOR_LOCK_FILE: &str = "supervisor";

/// Time in which a running supervisor has to listen: it has just started, or its socket was removed.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval of the attempts to connect.
const LISTEN_INTERVAL: Duration = Duration::from_millis(50);

/// Why the files of a supervisor cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorFilesError {
    /// A file or directory cannot be created or used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another user could interfere with a file.
    #[error("refusing to use {}: {reason}", path.display())]
    NotPrivate {
        /// The path.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A supervisor runs and cannot be reached.
    #[error("the supervisor{} is running, but does not listen at {}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path.display())]
    Unreachable {
        /// Process id; `None` if it is not known.
        pid: Option<u32>,
        /// Path where its socket should be.
        path: PathBuf,
    },
}

impl SupervisorFilesError {
    fn wrong_owner(path: &Path, user: u32) -> Self {
        Self::NotPrivate { path: path.to_owned(), reason: format!("it belongs to user {user}") }
    }
}

/// Paths of the files of one supervisor and its circles.
#[derive(Debug, Clone)]
pub struct SupervisorFiles {
    config: PathBuf,
    run: PathBuf,
    state: PathBuf,
    id: String,
    logs: PathBuf,
    identities: PathBuf,
}

impl SupervisorFiles {
    /// Returns the files of a configuration. `run` and `state` are the user's runtime and state directories for this program.
    /// The state directories are created, for the user alone.
    ///
    /// # Errors
    ///
    /// A directory cannot be created, or is accessible to other users.
    pub fn create(config: &Path, run: &Path, state: &Path) -> Result<Self, SupervisorFilesError> {
        let files = Self::open(config, run, state)?;
        PrivateDirectory::create(state, &["logs", &files.id])?;
        PrivateDirectory::create(state, &["identities", &files.id])?;
        files.locks()?;
        Ok(files)
    }

    /// Returns the files of a configuration without creating anything.
    ///
    /// # Errors
    ///
    /// The directory of the configuration does not exist.
    pub fn open(config: &Path, run: &Path, state: &Path) -> Result<Self, SupervisorFilesError> {
        let failed = |source| SupervisorFilesError::Io { path: config.to_owned(), source };
        let canonical = canonical(config).map_err(failed)?;
        let digest = Sha256::digest(std::os::unix::ffi::OsStrExt::as_bytes(canonical.as_os_str()));
        let id = hex::encode(&digest[..DIGEST_BYTES]);
        Ok(Self {
            // Not the canonical path: paths in the file are relative to where the user sees it.
            config: std::path::absolute(config).map_err(failed)?,
            run: run.to_owned(),
            state: state.to_owned(),
            logs: state.join("logs").join(&id),
            identities: state.join("identities").join(&id),
            id,
        })
    }

    /// Returns the absolute path of circles.json.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Returns the path of a circle's log.
    pub fn log(&self, circle: &str) -> PathBuf {
        self.logs.join(format!("{circle}.log"))
    }

    /// Returns the path of a circle's audit.
    pub fn audit(&self, circle: &str) -> PathBuf {
        self.logs.join(format!("{circle}.audit"))
    }

    /// Returns the path of the identity of a circle without `identity` in circles.json.
    pub fn identity(&self, circle: &str) -> PathBuf {
        self.identities.join(circle)
    }

    /// Returns the directory of the logs and audits.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Returns the path of the lock that a circle's process holds while it runs.
    pub(crate) fn circle_lock(&self, circle: &str) -> PathBuf {
        self.state.join("locks").join(&self.id).join(format!("{circle}.circle"))
    }

    fn locks(&self) -> Result<PrivateDirectory, SupervisorFilesError> {
        PrivateDirectory::create(&self.state, &["locks", &self.id])
    }

    /// Acquires the start lock. A client holds it while it checks for a supervisor and starts one: other clients wait, and then
    /// find the supervisor. Blocks.
    ///
    /// # Errors
    ///
    /// The lock file cannot be used.
    pub fn lock_start(&self) -> Result<LockGuard, SupervisorFilesError> {
        LockGuard::acquire(|| self.locks(), START_LOCK_FILE)
    }

    /// Acquires the lock that a supervisor holds while it runs. Waits for a supervisor that is ending, so the caller must know
    /// that no other one is running; meanwhile it holds [`lock_start`](Self::lock_start). Blocks.
    ///
    /// # Errors
    ///
    /// The lock file cannot be used.
    pub fn lock_supervisor(&self) -> Result<LockGuard, SupervisorFilesError> {
        LockGuard::acquire(|| self.locks(), SUPERVISOR_LOCK_FILE)
    }

    /// Listens on the socket, replaces what a killed supervisor has left behind, and records the directory in the lock
    /// file. Blocks.
    pub(crate) fn listen(
        &self,
        lock: &mut LockGuard,
    ) -> Result<std::os::unix::net::UnixListener, SupervisorFilesError> {
        self.listen_in(&self.run, lock)
    }

    /// Listens again if the socket was removed, and acquires the lock again if its file was removed; `None` if nothing
    /// has changed. If the runtime directory cannot be created any more, the socket goes to the state directory.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// No socket can be created, or another supervisor has the lock.
    pub(crate) fn restore_socket(
        &self,
        lock: &mut LockGuard,
    ) -> Result<Option<std::os::unix::net::UnixListener>, SupervisorFilesError> {
        let reacquired = self.locks().and_then(|locks| lock.reacquire(&locks, SUPERVISOR_LOCK_FILE));
        if lock.has_successor() {
            return reacquired.map(|_| None);
        }
        let run = lock.run().unwrap_or(&self.run).to_owned();
        let is_there = match PrivateDirectory::open(&run, &[&self.id]) {
            Ok(Some(directory)) => directory.identity(SOCKET_FILE).is_ok_and(|found| found == lock.socket()),
            // Also if something else is at the path.
            Ok(None) | Err(_) => false,
        };
        if !is_there {
            return match self.listen_in(&self.run, lock) {
                Ok(listener) => Ok(Some(listener)),
                Err(_) => self.listen_in(&self.state.join("run"), lock).map(Some),
            };
        }
        if !reacquired? {
            lock.write_holder(&run)?;
        }
        Ok(None)
    }

    fn listen_in(
        &self,
        run: &Path,
        lock: &mut LockGuard,
    ) -> Result<std::os::unix::net::UnixListener, SupervisorFilesError> {
        let directory = PrivateDirectory::create(run, &[&self.id])?;
        let (path, shown) = (directory.descriptor_path(SOCKET_FILE), directory.path(SOCKET_FILE));
        let failed = |source| SupervisorFilesError::Io { path: shown.clone(), source };
        directory.remove(SOCKET_FILE)?;
        let listener = std::os::unix::net::UnixListener::bind(&path).map_err(failed)?;
        // The directory has mode 0700 already, so nobody connected in between.
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        lock.set_socket(directory.identity(SOCKET_FILE)?);
        lock.write_holder(run)?;
        Ok(listener)
    }

    /// Connects to the supervisor; `None` if none is running. Waits for one that runs and does not listen yet.
    pub(crate) async fn connect(&self) -> Result<Option<UnixStream>, SupervisorFilesError> {
        let deadline = Instant::now() + LISTEN_TIMEOUT;
        loop {
            if let Some(stream) = self.connect_in(&self.run).await? {
                return Ok(Some(stream));
            }
            let Some(LockHolder { pid, run }) = self.lock_holder()? else { return Ok(None) };
            // The runtime directory of another session of the user, or the one that the supervisor moved to.
            if let Some(run) = run.filter(|run| *run != self.run)
                // The supervisor may be about to move.
                && let Ok(Some(stream)) = self.connect_in(&run).await
            {
                return Ok(Some(stream));
            }
            if Instant::now() >= deadline {
                return Err(SupervisorFilesError::Unreachable { pid, path: self.run.join(&self.id).join(SOCKET_FILE) });
            }
            sleep(LISTEN_INTERVAL).await;
        }
    }

    async fn connect_in(&self, run: &Path) -> Result<Option<UnixStream>, SupervisorFilesError> {
        let Some(directory) = PrivateDirectory::open(run, &[&self.id])? else { return Ok(None) };
        let failed = |source| SupervisorFilesError::Io { path: directory.path(SOCKET_FILE), source };
        let stream = match UnixStream::connect(directory.descriptor_path(SOCKET_FILE)).await {
            Ok(stream) => stream,
            // A supervisor that ends resets connections that it has not accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
                ) =>
            {
                return Ok(None);
            }
            Err(source) => return Err(failed(source)),
        };
        let user = stream.peer_cred().map_err(failed)?.uid();
        if user != rustix::process::geteuid().as_raw() {
            return Err(SupervisorFilesError::wrong_owner(&directory.path(SOCKET_FILE), user));
        }
        Ok(Some(stream))
    }

    /// Returns the running supervisor as recorded in the lock file; `None` if nobody holds the lock.
    fn lock_holder(&self) -> Result<Option<LockHolder>, SupervisorFilesError> {
        let Some(directory) = PrivateDirectory::open(&self.state, &["locks", &self.id])? else { return Ok(None) };
        LockHolder::read(&directory, SUPERVISOR_LOCK_FILE)
    }

    /// Returns whether a process of the circle is running, whoever started it: without a supervisor it drains and ends.
    ///
    /// # Errors
    ///
    /// The lock file cannot be read.
    pub fn is_circle_running(&self, circle: &str) -> Result<bool, SupervisorFilesError> {
        let Some(directory) = PrivateDirectory::open(&self.state, &["locks", &self.id])? else { return Ok(false) };
        Ok(LockHolder::read(&directory, &format!("{circle}.circle"))?.is_some())
    }

    /// Removes the socket, and then releases the lock: in the other order it would remove the socket of its successor.
    /// Blocks.
    pub(crate) fn release(&self, lock: LockGuard) {
        let run = lock.run().unwrap_or(&self.run);
        if let Ok(Some(directory)) = PrivateDirectory::open(run, &[&self.id])
            && directory.identity(SOCKET_FILE).is_ok_and(|found| found == lock.socket())
        {
            // The next supervisor removes a socket that stays.
            let _stale = directory.remove(SOCKET_FILE);
        }
        drop(lock);
    }
}

/// Returns the canonical path of a file, which may have been deleted.
fn canonical(file: &Path) -> io::Result<PathBuf> {
    match (file.canonicalize(), file.parent(), file.file_name()) {
        (Err(error), Some(directory), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            Ok(directory.canonicalize()?.join(name))
        }
        (canonical, ..) => canonical,
    }
}

/// Waits until this process has an exclusive lock on a file. The file is created if necessary and never removed: all waiting
/// processes must wait for the same file.
///
/// # Errors
///
/// The file cannot be created or locked.
pub fn acquire_lock(path: &Path) -> Result<File, SupervisorFilesError> {
    let failed = |source| SupervisorFilesError::Io { path: path.to_owned(), source };
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stale_socket_is_replaced_and_private() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let files =
            SupervisorFiles::create(&config, &home.path().join("run"), &home.path().join("state")).expect("valid");
        assert!(files.connect().await.expect("nothing is wrong").is_none());
        let mut killed = files.lock_supervisor().expect("free");
        drop(files.listen(&mut killed).expect("it listens"));
        drop(killed);
        assert!(files.connect().await.expect("nothing is wrong").is_none(), "nobody listens there");
        let mut lock = files.lock_supervisor().expect("free");
        let _listener = files.listen(&mut lock).expect("it listens again");
        assert!(files.connect().await.expect("nothing is wrong").is_some());
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let run = files.run.join(&files.id);
        assert_eq!((mode(&run.join(SOCKET_FILE)), mode(&run), mode(&files.logs)), (0o600, 0o700, 0o700));
        assert_eq!(mode(&files.identities), 0o700);
        assert!(files.restore_socket(&mut lock).expect("nothing is wrong").is_none(), "all is as it was");
        files.release(lock);
        assert!(!run.join(SOCKET_FILE).exists());
    }

    /// Whatever is removed, clients find a supervisor, and never a second one.
    #[tokio::test]
    async fn removed_socket_and_lock_are_restored() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let (run, state) = (home.path().join("run"), home.path().join("state"));
        let files = SupervisorFiles::create(&config, &run, &state).expect("valid");
        let mut lock = files.lock_supervisor().expect("free");
        let mut listener = files.listen(&mut lock).expect("it listens");
        for removed in [&run, &state] {
            std::fs::remove_dir_all(removed).expect("it was there");
            if let Some(restored) = files.restore_socket(&mut lock).expect("it can be made") {
                listener = restored;
            }
            assert!(files.connect().await.expect("nothing is wrong").is_some(), "{}", removed.display());
            let other = SupervisorFiles::create(&config, &home.path().join("other"), &state).expect("valid");
            assert!(other.connect().await.expect("nothing is wrong").is_some(), "found through the lock file");
        }
        // A file blocks the path of the directory.
        std::fs::remove_dir_all(&run).expect("it was there");
        std::fs::write(&run, "in the way").expect("written");
        listener = files.restore_socket(&mut lock).expect("it listens elsewhere").unwrap_or(listener);
        assert!(files.restore_socket(&mut lock).expect("nothing is wrong").is_none(), "it stays there");
        let other = SupervisorFiles::create(&config, &home.path().join("other"), &state).expect("valid");
        assert!(other.connect().await.expect("nothing is wrong").is_some());
        drop(listener);
        files.release(lock);
        assert!(other.connect().await.expect("nothing is wrong").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn connect_fails_on_supervisor_that_does_not_listen() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let files =
            SupervisorFiles::create(&config, &home.path().join("run"), &home.path().join("state")).expect("valid");
        let mut lock = files.lock_supervisor().expect("free");
        let _listener = files.listen(&mut lock).expect("it listens");
        std::fs::remove_dir_all(home.path().join("run")).expect("it was there");
        let error = files.connect().await.expect_err("it cannot be reached");
        assert!(
            matches!(error, SupervisorFilesError::Unreachable { pid, .. } if pid == Some(std::process::id())),
            "{error}"
        );
    }

    #[test]
    fn configuration_has_its_own_files_by_any_path() {
        let home = tempfile::tempdir().expect("a directory");
        let (run, state) = (home.path().join("run"), home.path().join("state"));
        for name in ["a.json", "b.json"] {
            std::fs::write(home.path().join(name), "{}").expect("written");
        }
        std::os::unix::fs::symlink(home.path().join("a.json"), home.path().join("c.json")).expect("linked");
        let run_of = |name: &str| SupervisorFiles::create(&home.path().join(name), &run, &state).expect("valid").id;
        assert_ne!(run_of("a.json"), run_of("b.json"));
        assert_eq!(run_of("a.json"), run_of("c.json"));
        // A deleted configuration still has the same files.
        let before = run_of("b.json");
        std::fs::remove_file(home.path().join("b.json")).expect("deleted");
        assert_eq!(run_of("b.json"), before);
        assert!(SupervisorFiles::create(&home.path().join("nowhere/a.json"), &run, &state).is_err());
    }
}
