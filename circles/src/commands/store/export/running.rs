//! Exports of the store of a running circle: the circle writes the file, because only its process has the store open.

use std::{
    fs::{self, File},
    io::{self, stdout},
    path::{Path, PathBuf},
    time::Duration,
};

use frontend::{
    config,
    error::{CliError, OutputError},
    supervisor::{self, control_error},
    visible::visible,
};
use launcher::{
    control::{ControlClient, ControlError, EXPORT_FAILED, Export, ExportParams},
    supervisor_files::SupervisorFiles,
};
use protocol::RpcError;
use terminal::{modes::before_exit_on_signal, runtime::client_runtime};
use tokio::runtime::Runtime;

use crate::commands::store::file::StoreFile;

/// Longest time for an export.
const EXPORT_TIMEOUT: Duration = Duration::from_mins(10);

/// Has the running circle write its entries into a new file; returns their number.
pub(super) fn export(runtime: &Runtime, file: &StoreFile, path: &Path) -> Result<u64, CliError> {
    let absolute = std::path::absolute(path)
        .map_err(|error| CliError::io(format!("cannot write {}", path.display()), &error, "name another file"))?;
    let Some(target) = absolute.to_str() else {
        let what = format!("cannot write {}", path.display());
        return Err(CliError::usage(what, "the path is not UTF-8", "name another file"));
    };
    let directories = supervisor::find_directories();
    let files = SupervisorFiles::open(&config::path(file.config.as_deref())?, &directories.run, &directories.state)?;
    let params = ExportParams { name: file.circle.name.clone(), file: target.to_owned() };
    // Its signal handlers end the process while it runs.
    let called = runtime.block_on(async {
        let called = ControlClient::connect_and_call::<Export>(&files, &params, EXPORT_TIMEOUT).await?;
        Ok(called.map(|(_, result)| result))
    });
    let failed = |why: &str, fix: &str| {
        let what = format!("cannot export the store of '{}'", file.circle.name);
        CliError::supervisor(what, visible(why).into_owned(), fix)
    };
    match called {
        Ok(Some(result)) => Ok(result.entries),
        // No supervisor, or another process than that of the circle, had the store.
        Ok(None) | Err(ControlError::Refused(RpcError::InvalidParams { .. })) => Err(match file.try_open_read_only() {
            Ok(Ok(_)) => failed("the process that used the store has ended in the meantime", "try again"),
            Ok(Err(error)) | Err(error) => error,
        }),
        Err(ControlError::Refused(RpcError::Other(error))) if error.code == EXPORT_FAILED => {
            Err(failed(&error.message, ""))
        }
        Err(ControlError::Refused(RpcError::Cancelled)) => {
            Err(failed("the circle is ending", "try again when it has ended"))
        }
        Err(error) => Err(control_error(error)),
    }
}

/// Has the running circle write its entries into a file beside the store, and copies the file to standard output.
pub(super) fn export_to_stdout(file: &StoreFile) -> Result<(), CliError> {
    let temporary = TemporaryExport::beside(&file.path);
    temporary.remove();
    let path = temporary.0.clone();
    // The supervisor removes a file that the circle completes later.
    before_exit_on_signal(move || drop(fs::remove_file(&path)));
    // Until the end of the copy: a signal ends a process that waits for the reader of its output.
    let runtime = client_runtime()?;
    export(&runtime, file, &temporary.0)?;
    let exported = File::open(&temporary.0);
    temporary.remove();
    let mut exported = exported.map_err(|error| {
        CliError::io(format!("cannot read {}", temporary.0.display()), &error, "check the directory of the store")
    })?;
    let copied = io::copy(&mut exported, &mut stdout().lock());
    copied.map(drop).map_err(|error| OutputError(error).into())
}

/// An export that does not stay.
struct TemporaryExport(PathBuf);

impl TemporaryExport {
    fn beside(path: &Path) -> Self {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.export", std::process::id()));
        Self(path.with_file_name(name))
    }

    fn remove(&self) {
        // Most often there is none.
        let _absent = fs::remove_file(&self.0);
    }
}

impl Drop for TemporaryExport {
    fn drop(&mut self) {
        self.remove();
    }
}
