//! Exports of the store of a running circle.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use protocol::{ErrorObject, RpcError};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    control::EXPORT_FAILED,
    ipc::{CircleChannel, ExportResult},
};

/// Number of requests that wait for the one before.
const MAX_QUEUED_EXPORTS: usize = 4;

/// Time in which a circle has to read a request.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// A request to write the entries of the store into a file.
#[derive(Debug)]
pub(crate) struct ExportRequest {
    /// The file to make; absolute.
    pub(crate) file: PathBuf,
    /// Receives the outcome. Dropped if the circle ends before.
    pub(crate) answer: oneshot::Sender<Result<ExportResult, RpcError>>,
}

impl ExportRequest {
    /// Makes a request, and the receiver of its outcome.
    pub(crate) fn new(file: PathBuf) -> (Self, ExportResponse) {
        let (answer, outcome) = oneshot::channel();
        (Self { file: file.clone(), answer }, ExportResponse { outcome, file })
    }
}

/// Receives the outcome of an export. Dropping it without the outcome removes the file of an export that has succeeded.
#[derive(Debug)]
pub(crate) struct ExportResponse {
    outcome: oneshot::Receiver<Result<ExportResult, RpcError>>,
    file: PathBuf,
}

impl ExportResponse {
    /// Waits for the outcome; the error of an export whose circle ended before.
    pub(crate) async fn receive(mut self) -> Result<ExportResult, RpcError> {
        (&mut self.outcome).await.map_err(|_| export_failed("the circle ended before it answered"))?
    }
}

impl Drop for ExportResponse {
    fn drop(&mut self) {
        self.outcome.close();
        if let Ok(Ok(_)) = self.outcome.try_recv() {
            remove_export(&self.file);
        }
    }
}

/// The error of an export, with its reason and what to do.
pub(crate) fn export_failed(reason: impl Into<String>) -> RpcError {
    RpcError::Other(ErrorObject { code: EXPORT_FAILED, message: reason.into(), data: None })
}

/// Removes the file of an export that nobody waits for.
fn remove_export(file: &Path) {
    let _absent = std::fs::remove_file(file);
}

/// Sends requests to the process of a circle, one at a time.
#[derive(Debug)]
pub(crate) struct Exporter {
    requests: mpsc::Receiver<ExportRequest>,
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    number: u64,
    request: ExportRequest,
    /// Whether the circle knows that nobody waits for the export.
    is_cancelled: bool,
}

/// The next message to the circle.
#[derive(Debug)]
pub(super) enum ExportAction {
    Start(ExportRequest),
    /// Nobody waits for the export in flight.
    Cancel,
}

impl Exporter {
    /// Makes an exporter, and the queue of its requests.
    pub(crate) fn new() -> (mpsc::Sender<ExportRequest>, Self) {
        let (sender, requests) = mpsc::channel(MAX_QUEUED_EXPORTS);
        (sender, Self { requests, in_flight: None })
    }

    /// Waits for a request that can be sent, or for the end of the client of the one in flight. Cancel safe.
    pub(super) async fn next_action(&mut self) -> ExportAction {
        match &mut self.in_flight {
            Some(InFlight { request, is_cancelled: false, .. }) => {
                request.answer.closed().await;
                return ExportAction::Cancel;
            }
            Some(_) => {}
            None => {
                while let Some(request) = self.requests.recv().await {
                    // A request without a client needs no file.
                    if !request.answer.is_closed() {
                        return ExportAction::Start(request);
                    }
                }
            }
        }
        std::future::pending().await
    }

    pub(super) async fn send(&mut self, action: ExportAction, channel: &mut CircleChannel) {
        match action {
            // Without the answer, the client learns that the circle is gone, or does not read.
            ExportAction::Start(request) => {
                if let Ok(Ok(number)) = timeout(SEND_TIMEOUT, channel.export(request.file.clone())).await {
                    self.in_flight = Some(InFlight { number, request, is_cancelled: false });
                }
            }
            ExportAction::Cancel => {
                if let Some(in_flight) = &mut self.in_flight {
                    in_flight.is_cancelled = true;
                }
                // A circle that does not read ends the export in vain.
                let _unsent = timeout(SEND_TIMEOUT, channel.cancel_export()).await;
            }
        }
    }

    /// Handles a response; false if it is that of another request.
    pub(super) fn handle_response(
        &mut self,
        id: u64,
        outcome: Result<&serde_json::value::RawValue, &RpcError>,
    ) -> bool {
        let Some(InFlight { request, .. }) = self.in_flight.take_if(|in_flight| in_flight.number == id) else {
            return false;
        };
        let outcome = match outcome {
            Ok(result) => serde_json::from_str(result.get()).map_err(|_| RpcError::Internal),
            Err(error) => Err(error.clone()),
        };
        if let Err(Ok(_)) = request.answer.send(outcome) {
            remove_export(&request.file);
        }
        true
    }

    /// Forgets the request in flight, whose process has ended.
    pub(super) fn reset(&mut self) {
        self.in_flight = None;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::net::UnixStream;

    use super::*;
    use crate::ipc::{FromCircle, ToCircle, supervisor_channel};

    #[tokio::test]
    async fn export_without_a_client_is_removed() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let (mut channel, (mut circle, mut from_supervisor)) = (CircleChannel::new(one), supervisor_channel(other));
        let (requests, mut exporter) = Exporter::new();
        let home = tempfile::tempdir().expect("a directory");
        let files = ["failed", "written", "waiting"].map(|name| home.path().join(name));
        let mut responses = Vec::new();
        for file in &files {
            let (answer, response) = oneshot::channel();
            requests.try_send(ExportRequest { file: file.clone(), answer }).expect("there is room");
            responses.push(response);
            std::fs::write(file, "").expect("written");
        }
        for outcome in [Err(RpcError::Internal), Ok(ExportResult { entries: 7 })] {
            let next = exporter.next_action().await;
            exporter.send(next, &mut channel).await;
            let ToCircle::Export(id, _) = from_supervisor.next().await else { panic!("it is asked") };
            drop(responses.remove(0));
            let next = exporter.next_action().await;
            assert!(matches!(next, ExportAction::Cancel), "{next:?}");
            exporter.send(next, &mut channel).await;
            assert_eq!(from_supervisor.next().await, ToCircle::CancelExport);
            assert!(exporter.next_action().now_or_never().is_none(), "one message is enough");
            circle.respond(&id, outcome).await.expect("it is there");
            let Some(FromCircle::Response(number, outcome)) = channel.next().await else { panic!("it answers") };
            assert!(exporter.handle_response(number, outcome.as_deref()));
        }
        drop(responses);
        // A file that the circle did not write stays, and the request that waited is not sent.
        assert_eq!(files.map(|file| file.exists()), [true, false, true]);
        assert!(exporter.next_action().now_or_never().is_none());
    }

    #[test]
    fn export_whose_outcome_nobody_receives_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("export");
        for (outcome, stays) in [(Ok(ExportResult { entries: 7 }), false), (Err(RpcError::Internal), true)] {
            std::fs::write(&file, "").expect("written");
            let (request, response) = ExportRequest::new(file.clone());
            request.answer.send(outcome).expect("it waits");
            drop(response);
            assert_eq!(file.exists(), stays);
        }
        let (request, response) = ExportRequest::new(file.clone());
        request.answer.send(Ok(ExportResult { entries: 7 })).expect("it waits");
        assert!(response.receive().now_or_never().expect("it has come").is_ok());
        assert!(file.exists(), "the client has got it");
    }

    #[tokio::test]
    async fn exports_are_requested_one_at_a_time() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let (mut channel, (mut circle, mut from_supervisor)) = (CircleChannel::new(one), supervisor_channel(other));
        let (requests, mut exporter) = Exporter::new();
        let request = |file: &str| {
            let (answer, response) = oneshot::channel();
            requests.try_send(ExportRequest { file: file.into(), answer }).map(|()| response)
        };
        let responses = ["/a", "/b", "/c"].map(|file| request(file).expect("there is room"));
        let _fourth = request("/d").expect("there is room");
        request("/e").expect_err("too many wait");
        let [first, second, third] = responses;

        let next = exporter.next_action().await;
        exporter.send(next, &mut channel).await;
        assert!(exporter.next_action().now_or_never().is_none(), "one is in flight");
        let ToCircle::Export(id, file) = from_supervisor.next().await else { panic!("it is asked") };
        assert_eq!(file, PathBuf::from("/a"));
        circle.respond(&id, Ok(ExportResult { entries: 7 })).await.expect("it is there");
        let Some(FromCircle::Response(number, outcome)) = channel.next().await else { panic!("it answers") };
        assert!(!exporter.handle_response(number + 1, outcome.as_deref()), "that is another request");
        assert!(exporter.handle_response(number, outcome.as_deref()));
        assert!(matches!(first.await.expect("an answer"), Ok(ExportResult { entries: 7 })));

        let next = exporter.next_action().await;
        exporter.send(next, &mut channel).await;
        let ToCircle::Export(id, _) = from_supervisor.next().await else { panic!("it is asked") };
        circle.respond(&id, Err::<ExportResult, _>(RpcError::Internal)).await.expect("it is there");
        let Some(FromCircle::Response(number, outcome)) = channel.next().await else { panic!("it answers") };
        assert!(exporter.handle_response(number, outcome.as_deref()));
        assert!(matches!(second.await.expect("an answer"), Err(RpcError::Internal)));

        // The process ends before it answers.
        let next = exporter.next_action().await;
        exporter.send(next, &mut channel).await;
        exporter.reset();
        third.await.expect_err("no answer");
        // Another process gets the next request.
        drop((circle, from_supervisor));
        let ExportAction::Start(request) = exporter.next_action().await else { panic!("it is sent") };
        assert_eq!(request.file, PathBuf::from("/d"));
    }
}
