//! The certificate of a circle without a supervisor, whose files are watched.

use std::{collections::BTreeSet, convert::Infallible, path::PathBuf, sync::Arc};

use server_ws::Circle;

use super::circle_args::load_certificate;

/// Applies the certificate at once, because it may have changed since the start, and whenever one of its two files
/// changes, until the future is dropped.
pub(super) async fn watch(circle: Arc<Circle>, files: Option<(PathBuf, PathBuf)>) -> Infallible {
    let Some((cert, key)) = files else { return std::future::pending().await };
    let files = BTreeSet::from([cert.clone(), key.clone()]);
    let apply = async || {
        let (cert, key) = (cert.clone(), key.clone());
        let loaded = tokio::task::spawn_blocking(move || load_certificate(&cert, &key)).await;
        match loaded {
            Ok(Ok(certificate)) if circle.certificate().as_ref() == Some(&certificate) => {}
            Ok(Ok(certificate)) => match circle.set_certificate(certificate) {
                Ok(()) => tracing::info!("certificate applied"),
                Err(error) => tracing::warn!(%error, "certificate not applied"),
            },
            // Between the writes of the two files, they do not fit each other.
            Ok(Err(error)) => {
                tracing::warn!(error = error.advice(), "certificate not applied: the circle keeps the previous one");
            }
            // The runtime is shutting down.
            Err(_) => {}
        }
    };
    launcher::watch_files(files, apply, async |warning| tracing::warn!("{warning}")).await;
    std::future::pending().await
}
