//! Directories that only the user can write to, checked and used by descriptor: otherwise another user could replace a
//! socket, a lock or a link in them.

use std::{
    fs::{DirBuilder, File},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, unlinkat},
    io::Errno,
    process::geteuid,
};

use super::SupervisorFilesError;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// An open directory that belongs to the user alone.
#[derive(Debug)]
pub(super) struct PrivateDirectory {
    path: PathBuf,
    fd: File,
}

impl PrivateDirectory {
    /// Opens the directory `below` a base directory of this program; `None` if one of them does not exist.
    pub(super) fn open(base: &Path, below: &[&str]) -> Result<Option<Self>, SupervisorFilesError> {
        Self::walk(base, below, false)
    }

    /// Opens the directory, and creates missing ones for the user alone.
    pub(super) fn create(base: &Path, below: &[&str]) -> Result<Self, SupervisorFilesError> {
        check_above(base)?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(base);
        made.map_err(|source| SupervisorFilesError::Io { path: base.to_owned(), source })?;
        Self::walk(base, below, true)?.ok_or_else(|| failed(base, Errno::NOENT))
    }

    fn walk(base: &Path, below: &[&str], is_creating: bool) -> Result<Option<Self>, SupervisorFilesError> {
        check_above(base)?;
        let cannot = |source| SupervisorFilesError::Io { path: base.to_owned(), source };
        let metadata = match base.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(error)),
        };
        // A link is followed if only this user or root can have made it, like that of systemd's `DynamicUser=`.
        let is_link = metadata.is_symlink();
        if is_link && ![0, geteuid().as_raw()].contains(&metadata.uid()) {
            return Err(SupervisorFilesError::wrong_owner(base, metadata.uid()));
        }
        let mut path = base.to_owned();
        let flags = if is_link { DIRECTORY } else { DIRECTORY | OFlags::NOFOLLOW };
        let mut fd = match openat(CWD, base, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(base, error)),
        };
        check(&path, &fd, 0o022)?;
        for name in below {
            path.push(name);
            if is_creating
                && let Err(error) = mkdirat(&fd, *name, Mode::RWXU)
                && error != Errno::EXIST
            {
                return Err(failed(&path, error));
            }
            fd = match openat(&fd, *name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(fd) => File::from(fd),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(not_private(&path, "it is a link or not a directory")),
                Err(error) => return Err(failed(&path, error)),
            };
            check(&path, &fd, 0o077)?;
        }
        Ok(Some(Self { path, fd }))
    }

    /// Returns the path of a file in the directory, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns a path of a file in this very directory, even if the directory is renamed meanwhile, that is short
    /// enough for a socket. Falls back to the plain path.
    pub(super) fn descriptor_path(&self, name: &str) -> PathBuf {
        let descriptor = PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()));
        if descriptor.is_dir() { descriptor.join(name) } else { self.path(name) }
    }

    /// Returns device and inode of a file; `None` if it does not exist.
    pub(super) fn identity(&self, name: &str) -> Result<Option<(u64, u64)>, SupervisorFilesError> {
        match self.descriptor_path(name).symlink_metadata() {
            Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SupervisorFilesError::Io { path: self.path(name), source }),
        }
    }

    /// Removes a file, if it exists.
    pub(super) fn remove(&self, name: &str) -> Result<(), SupervisorFilesError> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(error) if error != Errno::NOENT => Err(failed(&self.path(name), error)),
            _ => Ok(()),
        }
    }

    /// Opens a file; `None` if it does not exist.
    pub(super) fn open_file(&self, name: &str) -> Result<Option<File>, SupervisorFilesError> {
        match openat(&self.fd, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed(&self.path(name), error)),
        }
    }

    /// Opens or creates a file to lock.
    pub(super) fn lock_file(&self, name: &str) -> Result<File, SupervisorFilesError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR);
        opened.map(File::from).map_err(|error| failed(&self.path(name), error))
    }
}

/// Checks that the parent belongs to the user or to root: any other user could replace the directory.
fn check_above(base: &Path) -> Result<(), SupervisorFilesError> {
    let metadata = base.ancestors().skip(1).find_map(|above| Some((above, above.metadata().ok()?)));
    match metadata {
        Some((above, metadata)) if ![0, geteuid().as_raw()].contains(&metadata.uid()) => {
            Err(SupervisorFilesError::wrong_owner(above, metadata.uid()))
        }
        _ => Ok(()),
    }
}

/// Checks that a directory belongs to the user and does not have the forbidden permissions.
fn check(path: &Path, directory: &File, forbidden: u32) -> Result<(), SupervisorFilesError> {
    let metadata = directory.metadata().map_err(|source| SupervisorFilesError::Io { path: path.to_owned(), source })?;
    if metadata.uid() != geteuid().as_raw() {
        return Err(SupervisorFilesError::wrong_owner(path, metadata.uid()));
    }
    if metadata.mode() & forbidden != 0 {
        return Err(not_private(path, &format!("it is open to other users (mode {:04o})", metadata.mode() & 0o7777)));
    }
    Ok(())
}

fn not_private(path: &Path, why: &str) -> SupervisorFilesError {
    SupervisorFilesError::NotPrivate { path: path.to_owned(), reason: why.to_owned() }
}

fn failed(path: &Path, error: Errno) -> SupervisorFilesError {
    SupervisorFilesError::Io { path: path.to_owned(), source: io::Error::from(error) }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    fn refusal_reason(made: Result<PrivateDirectory, SupervisorFilesError>) -> String {
        match made.expect_err("it is refused") {
            SupervisorFilesError::NotPrivate { path, reason: why } => {
                format!("{}: {why}", path.file_name().expect("a name").display())
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn private_directory_refuses_writable_directories_and_links() {
        let home = tempfile::tempdir().expect("a directory");
        let base = home.path().join("run");
        let close = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
        let make = || PrivateDirectory::create(&base, &["id"]);
        assert!(PrivateDirectory::open(&base, &["id"]).expect("nothing is wrong").is_none());
        make().expect("it is made");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&base), mode(&base.join("id"))), (0o700, 0o700));

        close(&base, 0o777);
        assert_eq!(refusal_reason(make()), "run: it is open to other users (mode 0777)");
        // Service managers create them with this mode.
        close(&base, 0o755);
        make().expect("nobody else can write there");
        close(&base.join("id"), 0o750);
        assert_eq!(refusal_reason(make()), "id: it is open to other users (mode 0750)");

        fs::rename(base.join("id"), home.path().join("precious")).expect("moved");
        close(&home.path().join("precious"), 0o700);
        symlink(home.path().join("precious"), base.join("id")).expect("linked");
        assert_eq!(refusal_reason(make()), "id: it is a link or not a directory");
    }

    #[test]
    fn private_directory_refuses_other_owner() {
        let home = tempfile::tempdir().expect("a directory");
        let (base, target) = (home.path().join("run"), home.path().join("ours"));
        fs::create_dir(&base).expect("made");
        // Only root can give a file away.
        if std::os::unix::fs::chown(&base, Some(65534), None).is_err() {
            return;
        }
        assert_eq!(refusal_reason(PrivateDirectory::create(&base, &["id"])), "run: it belongs to user 65534");
        let below = PrivateDirectory::create(&base.join("circles"), &["id"]);
        assert_eq!(refusal_reason(below), "run: it belongs to user 65534", "also if it is the parent");
        assert_eq!(fs::read_dir(&base).expect("it is there").count(), 0);
        fs::remove_dir(&base).expect("removed");
        PrivateDirectory::create(&target, &["id"]).expect("made");
        symlink(&target, &base).expect("linked");
        PrivateDirectory::create(&base, &["id"]).expect("a link of our own");
        std::os::unix::fs::lchown(&base, Some(65534), None).expect("root");
        assert_eq!(refusal_reason(PrivateDirectory::create(&base, &["id"])), "run: it belongs to user 65534");
    }
}
