//! Exports of the store of a running circle.

use std::{path::PathBuf, time::Duration};

use protocol::RpcError;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::ipc::{CircleChannel, ExportResult};

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

/// Sends requests to the process of a circle, one at a time.
#[derive(Debug)]
pub(crate) struct Exporter {
    requests: mpsc::Receiver<ExportRequest>,
    in_flight: Option<(u64, ExportRequest)>,
}

impl Exporter {
    /// Makes an exporter, and the queue of its requests.
    pub(crate) fn new() -> (mpsc::Sender<ExportRequest>, Self) {
        let (sender, requests) = mpsc::channel(MAX_QUEUED_EXPORTS);
        (sender, Self { requests, in_flight: None })
    }

    /// Waits for a request that can be sent. Cancel safe.
    pub(super) async fn next_request(&mut self) -> ExportRequest {
        if self.in_flight.is_none() {
            while let Some(request) = self.requests.recv().await {
                // A request without a client needs no file.
                if !request.answer.is_closed() {
                    return request;
                }
            }
        }
        std::future::pending().await
    }

    pub(super) async fn send(&mut self, request: ExportRequest, channel: &mut CircleChannel) {
        // Without the answer, the client learns that the circle is gone, or does not read.
        if let Ok(Ok(id)) = timeout(SEND_TIMEOUT, channel.export(request.file.clone())).await {
            self.in_flight = Some((id, request));
        }
    }

    /// Handles a response; false if it is that of another request.
    pub(super) fn handle_response(
        &mut self,
        id: u64,
        outcome: Result<&serde_json::value::RawValue, &RpcError>,
    ) -> bool {
        let Some((_, request)) = self.in_flight.take_if(|(in_flight, _)| *in_flight == id) else { return false };
        let outcome = match outcome {
            Ok(result) => serde_json::from_str(result.get()).map_err(|_| RpcError::Internal),
            Err(error) => Err(error.clone()),
        };
        if let Err(Ok(_)) = request.answer.send(outcome) {
            // Nobody waits for the export.
            let _absent = std::fs::remove_file(&request.file);
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
            let next = exporter.next_request().await;
            exporter.send(next, &mut channel).await;
            let ToCircle::Export(id, _) = from_supervisor.next().await else { panic!("it is asked") };
            drop(responses.remove(0));
            circle.respond(&id, outcome).await.expect("it is there");
            let Some(FromCircle::Response(number, outcome)) = channel.next().await else { panic!("it answers") };
            assert!(exporter.handle_response(number, outcome.as_deref()));
        }
        drop(responses);
        // A file that the circle did not write stays, and the request that waited is not sent.
        assert_eq!(files.map(|file| file.exists()), [true, false, true]);
        assert!(exporter.next_request().now_or_never().is_none());
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

        let next = exporter.next_request().await;
        exporter.send(next, &mut channel).await;
        assert!(exporter.next_request().now_or_never().is_none(), "one is in flight");
        let ToCircle::Export(id, file) = from_supervisor.next().await else { panic!("it is asked") };
        assert_eq!(file, PathBuf::from("/a"));
        circle.respond(&id, Ok(ExportResult { entries: 7 })).await.expect("it is there");
        let Some(FromCircle::Response(number, outcome)) = channel.next().await else { panic!("it answers") };
        assert!(!exporter.handle_response(number + 1, outcome.as_deref()), "that is another request");
        assert!(exporter.handle_response(number, outcome.as_deref()));
        assert!(matches!(first.await.expect("an answer"), Ok(ExportResult { entries: 7 })));

        let next = exporter.next_request().await;
        exporter.send(next, &mut channel).await;
        let ToCircle::Export(id, _) = from_supervisor.next().await else { panic!("it is asked") };
        circle.respond(&id, Err::<ExportResult, _>(RpcError::Internal)).await.expect("it is there");
        let Some(FromCircle::Response(number, outcome)) = channel.next().await else { panic!("it answers") };
        assert!(exporter.handle_response(number, outcome.as_deref()));
        assert!(matches!(second.await.expect("an answer"), Err(RpcError::Internal)));

        // The process ends before it answers.
        let next = exporter.next_request().await;
        exporter.send(next, &mut channel).await;
        exporter.reset();
        third.await.expect_err("no answer");
        // Another process gets the next request.
        drop((circle, from_supervisor));
        assert_eq!(exporter.next_request().await.file, PathBuf::from("/d"));
    }
}
