//! The directories for logs, sockets and locks, also for a user without a home directory, as in a container.

use std::{
    convert::Infallible,
    fs::DirBuilder,
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use directories::ProjectDirs;

use crate::error::CliError;

/// The user's directories for the files of supervisors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// The directory for sockets and locks, which the system may remove when the user logs out.
    pub run: PathBuf,
    /// The directory for logs, which are kept.
    pub state: PathBuf,
}

/// Creates the user's directories, or a private temporary directory if the home directory is not writable.
pub(crate) fn create_directories() -> Result<Directories, CliError> {
    let state = find_state_directory(create_if_writable, || {
        create_temporary().map_err(|(path, error)| {
            CliError::io(
                format!("cannot find a directory for logs: neither a writable home directory nor {}", path.display()),
                &error,
                "set XDG_STATE_HOME and XDG_RUNTIME_DIR to writable directories",
            )
        })
    })?;
    Ok(with_run_directory(state))
}

/// Returns the same directories without creating them.
pub(crate) fn directories_as_they_are() -> Directories {
    let Ok(state) = find_state_directory(can_be_created, || Ok::<_, Infallible>(temporary_path()));
    with_run_directory(state)
}

fn find_state_directory<E>(
    is_usable: impl Fn(&Path) -> bool,
    temporary: impl FnOnce() -> Result<PathBuf, E>,
) -> Result<PathBuf, E> {
    let users = ProjectDirs::from("", "", "circles");
    let of_home = users.map(|users| users.state_dir().unwrap_or_else(|| users.data_local_dir()).to_owned());
    match directory_from_env("XDG_STATE_HOME").or(of_home) {
        // A directory that the user named is used or reported, never replaced.
        Some(state) if directory_from_env("XDG_STATE_HOME").is_some() || is_usable(&state) => Ok(state),
        _ => temporary(),
    }
}

fn with_run_directory(state: PathBuf) -> Directories {
    Directories { run: directory_from_env("XDG_RUNTIME_DIR").unwrap_or_else(|| state.join("run")), state }
}

/// Returns the program's directory below the one that a variable names. Relative paths are ignored (XDG Base
/// Directory).
fn directory_from_env(variable: &str) -> Option<PathBuf> {
    let base = std::env::var_os(variable).map(PathBuf::from)?;
    base.is_absolute().then(|| base.join("circles"))
}

fn create_if_writable(directory: &Path) -> bool {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.is_ok() && rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether the directory, or its nearest existing ancestor, is writable.
pub fn can_be_created(directory: &Path) -> bool {
    let there = directory.ancestors().find(|directory| directory.exists());
    there.is_some_and(|there| {
        let permissions = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        there.is_dir() && rustix::fs::access(there, permissions).is_ok()
    })
}

fn temporary_path() -> PathBuf {
    std::env::temp_dir().join(format!("circles-{}", rustix::process::geteuid().as_raw()))
}

/// Creates a private directory, and checks its owner: any user could have created it before.
fn create_temporary() -> Result<PathBuf, (PathBuf, io::Error)> {
    let (user, path) = (rustix::process::geteuid().as_raw(), temporary_path());
    let create_private = || {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = path.symlink_metadata()?;
        let is_ours = found.is_dir() && found.uid() == user && found.mode() & 0o777 == 0o700;
        if is_ours { Ok(()) } else { Err(io::Error::other("it exists, and is not private to this user")) }
    };
    create_private().map(|()| path.clone()).map_err(|error| (path.clone(), error))
}
