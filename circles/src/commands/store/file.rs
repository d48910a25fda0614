//! The file of a circle's store.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use frontend::{
    config,
    error::{CliError, os_error_text},
    files::{config_flag, quoted},
    quantity,
};
use launcher::{CircleConfig, StoreConfig};
use rustix::fs::{Access, access, statvfs};
use store::{
    ChangesLimit, Entry, EntryReader, Error, Filter, OpenError, Prefix, Store, StoreLimits, StoreOptions,
    TransactionLimits,
};

use super::circle_name;
use crate::cli::StoreFileArgs;

/// Permission bits of group and others.
const OTHERS_MODE: u32 = 0o077;

/// A circle with the file of its store.
#[derive(Debug)]
pub(super) struct StoreFile {
    pub(super) circle: CircleConfig,
    pub(super) path: PathBuf,
    /// The path of circles.json, if the user named one.
    pub(super) config: Option<PathBuf>,
}

impl StoreFile {
    /// Finds the file of the circle that the user named, or of the only circle that has a store.
    pub(super) fn find(args: &StoreFileArgs) -> Result<Self, CliError> {
        let name = circle_name(args.circle.as_deref(), &args.config)?;
        let circle = config::circle(args.config.path(), &name)?;
        let path = match &circle.store {
            Some(StoreConfig::File(path)) => path.clone(),
            Some(StoreConfig::Memory) => {
                return Err(CliError::usage(
                    format!("the store of '{name}' has no file"),
                    "it is in memory, until the circle ends",
                    "circles store get and list read from it while the circle runs",
                ));
            }
            None => {
                return Err(CliError::usage(
                    format!("the circle '{name}' has no store"),
                    "circles.json does not set \"store\"",
                    "name another circle: --circle NAME",
                ));
            }
        };
        Ok(Self { circle, path, config: args.config.config.clone() })
    }

    /// Opens the file for reading only, after verifying all of it. Blocks.
    pub(super) fn open_read_only(&self) -> Result<Store, CliError> {
        self.try_open_read_only()?
    }

    /// As [`Self::open_read_only`]; the inner error says which other process has the store open.
    pub(super) fn try_open_read_only(&self) -> Result<Result<Store, CliError>, CliError> {
        match StoreOptions::new(&self.circle.name).open_read_only(&self.path) {
            Err(error @ OpenError::Locked { .. }) => Ok(Err(self.open_error(error))),
            opened => opened.map(Ok).map_err(|error| self.open_error(error)),
        }
    }

    /// Opens a file with the bounds of the circle's store, and creates it if there is none. Blocks.
    pub(super) fn open(&self, path: &Path) -> Result<Store, CliError> {
        let mut limits = StoreLimits::default();
        limits.bytes = self.circle.limits.store_mib.saturating_mul(1 << 20);
        limits.log_bytes = self.circle.limits.log_mib.saturating_mul(1 << 20);
        let mut transaction_limits = TransactionLimits::default();
        transaction_limits.writes = usize::MAX;
        transaction_limits.write_bytes = usize::MAX;
        let value_bytes = self.circle.limits.value_kib.saturating_mul(1024);
        transaction_limits.value_bytes = usize::try_from(value_bytes).unwrap_or(usize::MAX);
        let options = StoreOptions::new(&self.circle.name).limits(limits).transaction_limits(transaction_limits);
        options.open(path).map_err(|error| self.open_error(error))
    }

    fn open_error(&self, error: OpenError) -> CliError {
        let (name, config_flag) = (&self.circle.name, config_flag(self.config.as_deref()));
        let what = format!("cannot open the store of '{name}' in {}", self.path.display());
        match error {
            OpenError::Locked { holder } => {
                let fix = format!("stop the circle: circles down {name}{config_flag}");
                let why = match holder {
                    Some(holder) => format!("{holder} has it open"),
                    None => "the circle is running, or another command uses the store".to_owned(),
                };
                CliError::usage(what, why, fix)
            }
            OpenError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                let fix = format!("the first start of the circle creates the store: circles up {name}{config_flag}");
                CliError::usage(what, os_error_text(&error), fix)
            }
            error => CliError::usage(what, error.to_string(), ""),
        }
    }
}

/// Returns a reader of all entries of a store as of one revision.
pub(super) fn read_all(store: &Store) -> EntryReader {
    store.read_entries(&Filter::Prefix(Prefix::all()))
}

/// Reads the next entries, in parts that fit into memory.
pub(super) fn read_part(reader: &mut EntryReader) -> Result<Vec<Entry>, CliError> {
    reader.read(ChangesLimit::default()).map_err(|error| match error {
        Error::TooOld => CliError::usage(
            "cannot read the store as of one moment",
            "the circle writes too much meanwhile",
            "try again when it writes less, or stop the circle: circles down NAME",
        ),
        error => CliError::usage("cannot read the store", error.to_string(), ""),
    })
}

/// Finds what keeps a circle from opening the file of its store. Changes nothing; a file that a running circle has open
/// is fine. Blocks: verifies the whole file.
pub(crate) fn find_store_error(circle: &CircleConfig) -> Option<String> {
    let Some(StoreConfig::File(path)) = &circle.store else { return None };
    let directory = directory(path);
    let permissions = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let error = access(directory, permissions).err()?;
            return Some(format!(
                "cannot create the store in {}: {}",
                directory.display(),
                os_error_text(&error.into())
            ));
        }
        Err(error) => return Some(format!("cannot open the store {}: {}", path.display(), os_error_text(&error))),
        Ok(_) => {}
    }
    if let Err(error) = access(path, Access::READ_OK | Access::WRITE_OK) {
        return Some(format!("cannot open the store {}: {}", path.display(), os_error_text(&error.into())));
    }
    match StoreOptions::new(&circle.name).open_read_only(path) {
        Ok(_) | Err(OpenError::Locked { .. }) => None,
        // The circle makes a store of an empty file.
        Err(OpenError::NotAStore) if path.metadata().is_ok_and(|found| found.len() == 0) => None,
        Err(error) => Some(format!("cannot open the store {}: {error}", path.display())),
    }
}

/// A risk to a store, and what to do about it.
pub(crate) struct StoreWarning {
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) fix: String,
}

/// Finds risks to the file of a circle's store: others may read it, another user owns it, or its disk is nearly full.
pub(crate) fn find_store_warnings(circle: &CircleConfig) -> Vec<StoreWarning> {
    let Some(StoreConfig::File(path)) = &circle.store else { return Vec::new() };
    let mut warnings = Vec::new();
    if let Ok(found) = path.metadata() {
        let mode = found.mode() & 0o7777;
        if mode & OTHERS_MODE != 0 {
            warnings.push(StoreWarning {
                what: format!("the store {} is open to others", path.display()),
                why: format!("its mode is {mode:04o}"),
                fix: format!("chmod 600 {}", quoted(path)),
            });
        }
        let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
        if owner != user {
            warnings.push(StoreWarning {
                what: format!("the store {} belongs to another user", path.display()),
                why: format!("its owner is {owner}, and you are {user}"),
                fix: "run the circle as the owner of the store".to_owned(),
            });
        }
    }
    let minimum = StoreLimits::default().free_disk_bytes;
    if let Ok(disk) = statvfs(directory(path)) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < minimum {
            warnings.push(StoreWarning {
                what: format!("the disk of the store {} is full", path.display()),
                why: format!(
                    "{} are free, and below {} the store takes no writes",
                    quantity::size(free),
                    quantity::size(minimum)
                ),
                fix: "free disk space".to_owned(),
            });
        }
    }
    warnings
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
