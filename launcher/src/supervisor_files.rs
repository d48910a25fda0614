//! Where the supervisor of a configuration is found, and how there is never more than one.
//!
//! Its socket is in the user's directory for what is gone when they log out; its locks are in the one for what stays, so that
//! they say who runs when the socket is gone.

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

/// Bytes of the digest that tell configurations apart, written as hex.
const DIGEST_BYTES: usize = 8;

/// The names of the files.
const SOCKET_FILE: &str = "socket";
const START_LOCK_FILE: &str = "starting";
const SUPERVISOR_LOCK_FILE: &str = "supervisor";

/// How long a supervisor that runs may take to listen: it has just begun, or its socket was removed.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is looked whether it does.
const LISTEN_INTERVAL: Duration = Duration::from_millis(50);

/// Why a supervisor cannot be where it has to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorFilesError {
    /// A file or directory cannot be made or used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another user could have a hand in what is there.
    #[error("will not use {}: {reason}", path.display())]
    NotPrivate {
        /// Which one.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A supervisor runs and cannot be reached.
    #[error("the supervisor{} runs, and does not listen at {}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path.display())]
    Unreachable {
        /// Its process id; none, where it cannot be told.
        pid: Option<u32>,
        /// Where its socket should be.
        path: PathBuf,
    },
}

impl SupervisorFilesError {
    fn wrong_owner(path: &Path, user: u32) -> Self {
        Self::NotPrivate { path: path.to_owned(), reason: format!("it belongs to user {user}") }
    }
}

/// The files of the supervisor of one circles.json, and those of its circles.
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
    /// The place of a configuration. `run` and `state` are the user's directories of this program, for what is gone when
    /// they log out and for what stays. What stays is made, for the user alone.
    pub fn create(config: &Path, run: &Path, state: &Path) -> Result<Self, SupervisorFilesError> {
        let files = Self::open(config, run, state)?;
        PrivateDirectory::create(state, &["logs", &files.id])?;
        PrivateDirectory::create(state, &["identities", &files.id])?;
        files.locks()?;
        Ok(files)
    }

    /// The same, for who only looks: nothing is made.
    pub fn open(config: &Path, run: &Path, state: &Path) -> Result<Self, SupervisorFilesError> {
        let failed = |source| SupervisorFilesError::Io { path: config.to_owned(), source };
        let canonical = canonical(config).map_err(failed)?;
        let digest = Sha256::digest(std::os::unix::ffi::OsStrExt::as_bytes(canonical.as_os_str()));
        let id = hex::encode(&digest[..DIGEST_BYTES]);
        Ok(Self {
            // Not the canonical one: the paths in it are relative to where the user sees it.
            config: std::path::absolute(config).map_err(failed)?,
            run: run.to_owned(),
            state: state.to_owned(),
            logs: state.join("logs").join(&id),
            identities: state.join("identities").join(&id),
            id,
        })
    }

    /// Its circles.json, an absolute path.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The log of a circle.
    pub fn log(&self, circle: &str) -> PathBuf {
        self.logs.join(format!("{circle}.log"))
    }

    /// The audit of a circle.
    pub fn audit(&self, circle: &str) -> PathBuf {
        self.logs.join(format!("{circle}.audit"))
    }

    /// The identity of a circle for which circles.json names no file.
    pub fn identity(&self, circle: &str) -> PathBuf {
        self.identities.join(circle)
    }

    /// Where the logs and audits of its circles are.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// What the process of a circle holds for its life.
    pub(crate) fn circle_lock(&self, circle: &str) -> PathBuf {
        self.state.join("locks").join(&self.id).join(format!("{circle}.circle"))
    }

    fn locks(&self) -> Result<PrivateDirectory, SupervisorFilesError> {
        PrivateDirectory::create(&self.state, &["locks", &self.id])
    }

    /// Held by whoever looks whether a supervisor runs and starts one if not: others wait, and then find it. Blocks.
    pub fn lock_start(&self) -> Result<LockGuard, SupervisorFilesError> {
        LockGuard::acquire(|| self.locks(), START_LOCK_FILE)
    }

    /// Held by a supervisor for its life. It waits for the end of one that is ending, so nobody asks for it who knows of
    /// one that is not; [`Place::lock_starting`] is to be held meanwhile. Blocks.
    pub fn lock_supervisor(&self) -> Result<LockGuard, SupervisorFilesError> {
        LockGuard::acquire(|| self.locks(), SUPERVISOR_LOCK_FILE)
    }

    /// Listens there, whatever a supervisor that was killed has left behind, and writes down where. Blocks.
    pub(crate) fn listen(
        &self,
        held: &mut LockGuard,
    ) -> Result<std::os::unix::net::UnixListener, SupervisorFilesError> {
        self.listen_in(&self.run, held)
    }

    /// Listens again where the socket is not there any more, and takes the lock again where its file is not. None, where all
    /// is as it was. Where the directory for the socket cannot be made any more, it is one of those that stay. Blocks.
    ///
    /// # Errors
    ///
    /// Nothing can be listened at, or another supervisor has the lock.
    pub(crate) fn restore_socket(
        &self,
        held: &mut LockGuard,
    ) -> Result<Option<std::os::unix::net::UnixListener>, SupervisorFilesError> {
        let lock = self.locks().and_then(|locks| held.reacquire(&locks, SUPERVISOR_LOCK_FILE));
        if held.has_successor() {
            return lock.map(|_| None);
        }
        let run = held.run().unwrap_or(&self.run).to_owned();
        let is_there = match PrivateDirectory::open(&run, &[&self.id]) {
            Ok(Some(directory)) => directory.identity(SOCKET_FILE).is_ok_and(|found| found == held.socket()),
            // Also where something else is in its place.
            Ok(None) | Err(_) => false,
        };
        if !is_there {
            return match self.listen_in(&self.run, held) {
                Ok(listener) => Ok(Some(listener)),
                Err(_) => self.listen_in(&self.state.join("run"), held).map(Some),
            };
        }
        if !lock? {
            held.write_holder(&run)?;
        }
        Ok(None)
    }

    fn listen_in(
        &self,
        run: &Path,
        held: &mut LockGuard,
    ) -> Result<std::os::unix::net::UnixListener, SupervisorFilesError> {
        let directory = PrivateDirectory::create(run, &[&self.id])?;
        let (path, shown) = (directory.descriptor_path(SOCKET_FILE), directory.path(SOCKET_FILE));
        let failed = |source| SupervisorFilesError::Io { path: shown.clone(), source };
        directory.remove(SOCKET_FILE)?;
        let listener = std::os::unix::net::UnixListener::bind(&path).map_err(failed)?;
        // In a directory of 0700 already, so nobody came between.
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        held.set_socket(directory.identity(SOCKET_FILE)?);
        held.write_holder(run)?;
        Ok(listener)
    }

    /// Connects to the supervisor; `None` if there is none. One that runs and does not listen is waited for.
    pub(crate) async fn connect(&self) -> Result<Option<UnixStream>, SupervisorFilesError> {
        let deadline = Instant::now() + LISTEN_TIMEOUT;
        loop {
            if let Some(stream) = self.connect_in(&self.run).await? {
                return Ok(Some(stream));
            }
            let Some(LockHolder { pid, run }) = self.lock_holder()? else { return Ok(None) };
            // That of another session of the user's, or where it went when its directory was removed.
            if let Some(run) = run.filter(|run| *run != self.run)
                // It may be about to go elsewhere.
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
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
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

    /// The supervisor that runs, as it wrote it down; none, where none holds the lock.
    fn lock_holder(&self) -> Result<Option<LockHolder>, SupervisorFilesError> {
        let Some(directory) = PrivateDirectory::open(&self.state, &["locks", &self.id])? else { return Ok(None) };
        LockHolder::read(&directory, SUPERVISOR_LOCK_FILE)
    }

    /// Whether a process of the circle runs, whoever started it: without a supervisor it drains and ends.
    pub fn is_circle_running(&self, circle: &str) -> Result<bool, SupervisorFilesError> {
        let Some(directory) = PrivateDirectory::open(&self.state, &["locks", &self.id])? else { return Ok(false) };
        Ok(LockHolder::read(&directory, &format!("{circle}.circle"))?.is_some())
    }

    /// Whoever still held the lock would find its successor's socket gone. Blocks.
    pub(crate) fn release(&self, held: LockGuard) {
        let run = held.run().unwrap_or(&self.run);
        if let Ok(Some(directory)) = PrivateDirectory::open(run, &[&self.id])
            && directory.identity(SOCKET_FILE).is_ok_and(|found| found == held.socket())
        {
            // One that stays is removed by the next supervisor.
            let _stale = directory.remove(SOCKET_FILE);
        }
        drop(held);
    }
}

/// The canonical path of a file that was there, and may be gone.
fn canonical(file: &Path) -> io::Result<PathBuf> {
    match (file.canonicalize(), file.parent(), file.file_name()) {
        (Err(error), Some(directory), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            Ok(directory.canonicalize()?.join(name))
        }
        (canonical, ..) => canonical,
    }
}

/// Waits until a file is locked for this process alone. It is made if it is not there, and never removed: who waits for it
/// must be waiting for the same file.
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
        let place =
            SupervisorFiles::create(&config, &home.path().join("run"), &home.path().join("state")).expect("a place");
        assert!(place.connect().await.expect("nothing is wrong").is_none());
        let mut killed = place.lock_supervisor().expect("free");
        drop(place.listen(&mut killed).expect("it listens"));
        drop(killed);
        assert!(place.connect().await.expect("nothing is wrong").is_none(), "nobody listens there");
        let mut held = place.lock_supervisor().expect("free");
        let _listener = place.listen(&mut held).expect("it listens again");
        assert!(place.connect().await.expect("nothing is wrong").is_some());
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let run = place.run.join(&place.id);
        assert_eq!((mode(&run.join(SOCKET_FILE)), mode(&run), mode(&place.logs)), (0o600, 0o700, 0o700));
        assert_eq!(mode(&place.identities), 0o700);
        assert!(place.restore_socket(&mut held).expect("nothing is wrong").is_none(), "all is as it was");
        place.release(held);
        assert!(!run.join(SOCKET_FILE).exists());
    }

    /// Whatever is removed, there is a supervisor that is found, and never a second one.
    #[tokio::test]
    async fn removed_socket_and_lock_are_restored() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let (run, state) = (home.path().join("run"), home.path().join("state"));
        let files = SupervisorFiles::create(&config, &run, &state).expect("a place");
        let mut held = files.lock_supervisor().expect("free");
        let mut listener = files.listen(&mut held).expect("it listens");
        for removed in [&run, &state] {
            std::fs::remove_dir_all(removed).expect("it was there");
            if let Some(restored) = files.restore_socket(&mut held).expect("it can be made") {
                listener = restored;
            }
            assert!(files.connect().await.expect("nothing is wrong").is_some(), "{}", removed.display());
            let other = SupervisorFiles::create(&config, &home.path().join("other"), &state).expect("a place");
            assert!(other.connect().await.expect("nothing is wrong").is_some(), "found by what is written down");
        }
        // Nothing can be made where it was.
        std::fs::remove_dir_all(&run).expect("it was there");
        std::fs::write(&run, "in the way").expect("written");
        listener = files.restore_socket(&mut held).expect("it listens elsewhere").unwrap_or(listener);
        assert!(files.restore_socket(&mut held).expect("nothing is wrong").is_none(), "and there it stays");
        let other = SupervisorFiles::create(&config, &home.path().join("other"), &state).expect("a place");
        assert!(other.connect().await.expect("nothing is wrong").is_some());
        drop(listener);
        files.release(held);
        assert!(other.connect().await.expect("nothing is wrong").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn connect_fails_on_supervisor_that_does_not_listen() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let place =
            SupervisorFiles::create(&config, &home.path().join("run"), &home.path().join("state")).expect("a place");
        let mut held = place.lock_supervisor().expect("free");
        let _listener = place.listen(&mut held).expect("it listens");
        std::fs::remove_dir_all(home.path().join("run")).expect("it was there");
        let error = place.connect().await.expect_err("it cannot be reached");
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
        let run_of = |name: &str| SupervisorFiles::create(&home.path().join(name), &run, &state).expect("a place").id;
        assert_ne!(run_of("a.json"), run_of("b.json"));
        assert_eq!(run_of("a.json"), run_of("c.json"));
        // One that was deleted has still the place that it had.
        let before = run_of("b.json");
        std::fs::remove_file(home.path().join("b.json")).expect("deleted");
        assert_eq!(run_of("b.json"), before);
        assert!(SupervisorFiles::create(&home.path().join("nowhere/a.json"), &run, &state).is_err());
    }
}
