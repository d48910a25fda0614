//! Where the supervisor of a configuration is found, and how there is never more than one.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tokio::net::{UnixListener, UnixStream};

/// Bytes of the digest that tell configurations apart, written as hex.
const DIGEST: usize = 8;

/// Why a supervisor cannot be where it has to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A file or directory cannot be made or used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The files of the supervisor of one circles.json, and those of its circles.
#[derive(Debug, Clone)]
pub struct Place {
    config: PathBuf,
    run: PathBuf,
    logs: PathBuf,
}

/// Held: no other supervisor of this configuration runs, or else no other is being started.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl Place {
    /// The place of a configuration. `run` and `state` are the user's directories of this program, for what is gone when
    /// they log out and for what stays; both are made, for the user alone.
    pub fn of(config: &Path, run: &Path, state: &Path) -> Result<Self, PlaceError> {
        let place = Self::as_it_is(config, run, state)?;
        for directory in [&place.run, &place.logs] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|source| PlaceError::Io { path: directory.clone(), source })?;
        }
        Ok(place)
    }

    /// The same, for who only looks: nothing is made.
    pub fn as_it_is(config: &Path, run: &Path, state: &Path) -> Result<Self, PlaceError> {
        let failed = |source| PlaceError::Io { path: config.to_owned(), source };
        let canonical = canonical(config).map_err(failed)?;
        let digest = Sha256::digest(std::os::unix::ffi::OsStrExt::as_bytes(canonical.as_os_str()));
        let id = hex::encode(&digest[..DIGEST]);
        Ok(Self {
            // Not the canonical one: the paths in it are relative to where the user sees it.
            config: std::path::absolute(config).map_err(failed)?,
            run: run.join(&id),
            logs: state.join("logs").join(&id),
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

    /// Where the logs and audits of its circles are.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// What the process of a circle holds for its life.
    pub(crate) fn circle_lock(&self, circle: &str) -> PathBuf {
        self.run.join(format!("{circle}.circle"))
    }

    fn socket(&self) -> PathBuf {
        self.run.join("socket")
    }

    /// Held by whoever looks whether a supervisor runs and starts one if not: others wait, and then find it. Blocks.
    pub fn lock_starting(&self) -> Result<Held, PlaceError> {
        hold(&self.run.join("starting")).map(Held)
    }

    /// Held by a supervisor for its life. It waits for the end of one that is ending, so nobody asks for it who knows of
    /// one that is not; [`Place::lock_starting`] is to be held meanwhile. Blocks.
    pub fn lock_supervisor(&self) -> Result<Held, PlaceError> {
        hold(&self.run.join("supervisor")).map(Held)
    }

    /// Listens there, whatever a supervisor that was killed has left behind.
    pub(crate) fn listen(&self, _held: &Held) -> Result<UnixListener, PlaceError> {
        let path = self.socket();
        let failed = |source| PlaceError::Io { path: path.clone(), source };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        // In a directory of 0700 already, so nobody came between.
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(listener)
    }

    /// Connects to the supervisor; `None` if there is none.
    pub(crate) async fn connect(&self) -> Result<Option<UnixStream>, PlaceError> {
        match UnixStream::connect(self.socket()).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(source) => Err(PlaceError::Io { path: self.socket(), source }),
        }
    }

    /// Whoever still held the lock would find its successor's socket gone.
    pub(crate) fn leave(&self, held: Held) {
        // One that stays is removed by the next supervisor.
        let _stale = std::fs::remove_file(self.socket());
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
pub fn hold(path: &Path) -> Result<File, PlaceError> {
    let failed = |source| PlaceError::Io { path: path.to_owned(), source };
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_left_behind_heals_and_is_for_its_user_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let place = Place::of(&config, &home.path().join("run"), &home.path().join("state")).expect("a place");
        assert!(place.connect().await.expect("nothing is wrong").is_none());
        let held = place.lock_supervisor().expect("free");
        drop(place.listen(&held).expect("it listens"));
        assert!(place.connect().await.expect("nothing is wrong").is_none(), "nobody listens there");
        let _listener = place.listen(&held).expect("it listens again");
        assert!(place.connect().await.expect("nothing is wrong").is_some());
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&place.socket()), mode(&place.run), mode(&place.logs)), (0o600, 0o700, 0o700));
        place.leave(held);
        assert!(!place.socket().exists());
    }

    #[test]
    fn each_configuration_has_a_place_of_its_own_by_whatever_path_it_is_named() {
        let home = tempfile::tempdir().expect("a directory");
        let (run, state) = (home.path().join("run"), home.path().join("state"));
        for name in ["a.json", "b.json"] {
            std::fs::write(home.path().join(name), "{}").expect("written");
        }
        std::os::unix::fs::symlink(home.path().join("a.json"), home.path().join("c.json")).expect("linked");
        let run_of = |name: &str| Place::of(&home.path().join(name), &run, &state).expect("a place").run;
        assert_ne!(run_of("a.json"), run_of("b.json"));
        assert_eq!(run_of("a.json"), run_of("c.json"));
        // One that was deleted has still the place that it had.
        let before = run_of("b.json");
        std::fs::remove_file(home.path().join("b.json")).expect("deleted");
        assert_eq!(run_of("b.json"), before);
        assert!(Place::of(&home.path().join("nowhere/a.json"), &run, &state).is_err());
    }
}
