//! Exports of the store of this process.

use std::{path::PathBuf, sync::Arc};

use launcher::{control::EXPORT_FAILED, ipc::ExportResult};
use protocol::{ErrorObject, RpcError};
use server_ws::Circle;

use crate::commands::store::export::write_file;

/// Writes the entries of the circle's store into a new file.
pub(super) async fn export(circle: Arc<Circle>, file: PathBuf) -> Result<ExportResult, RpcError> {
    let failed = |message: String| RpcError::Other(ErrorObject { code: EXPORT_FAILED, message, data: None });
    let write = move || {
        let Some(store) = circle.store() else { return Err("the running circle has no store".to_owned()) };
        if !file.is_absolute() {
            return Err(format!("{} is not an absolute path", file.display()));
        }
        write_file(store, &file).map_err(|error| error.advice())
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(|_| RpcError::Internal)?;
    written.map(|entries| ExportResult { entries }).map_err(failed)
}
