//! Exports of the store of this process.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use frontend::error::CliError;
use launcher::{control::EXPORT_FAILED, ipc::ExportResult};
use protocol::{ErrorObject, RpcError};
use server_ws::Circle;

use crate::commands::store::export::write_file;

/// Stops an export. Each clone stops the same export, and so does dropping the future of [`export`].
#[derive(Debug, Clone, Default)]
pub(crate) struct ExportStop(Arc<AtomicBool>);

impl ExportStop {
    pub(super) fn stop(&self) {
        self.0.store(true, Relaxed);
    }

    #[cfg(test)]
    pub(super) fn is_stopped(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Writes the entries of the circle's store into a new file. An export that is stopped before it ends leaves no file;
/// its error is [`RpcError::Cancelled`].
pub(super) async fn export(circle: Arc<Circle>, file: PathBuf, stop: ExportStop) -> Result<ExportResult, RpcError> {
    let failed = |message: String| RpcError::Other(ErrorObject { code: EXPORT_FAILED, message, data: None });
    let is_stopped = Arc::clone(&stop.0);
    let _stop = StopOnDrop(stop);
    let write = move || {
        let Some(store) = circle.store() else { return Err(failed("the running circle has no store".to_owned())) };
        if !file.is_absolute() {
            return Err(failed(format!("{} is not an absolute path", file.display())));
        }
        write_file(store, &file, &is_stopped).map_err(|error| match error {
            CliError::Interrupted => RpcError::Cancelled,
            error => failed(error.advice()),
        })
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(|_| RpcError::Internal)?;
    written.map(|entries| ExportResult { entries })
}

/// Stops an export when it is dropped.
#[derive(Debug)]
struct StopOnDrop(ExportStop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}
