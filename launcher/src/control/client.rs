//! Client of a supervisor's control socket.

use std::{io, time::Duration};

use futures_util::{SinkExt, StreamExt};
use protocol::{
    Id, Method, RpcError,
    message::{self, ServerMessage},
};
use tokio::{net::UnixStream, time::timeout};
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

use crate::supervisor_files::{SupervisorFiles, SupervisorFilesError};

/// Largest response in bytes: the status of many circles, each with its worker machines.
const MAX_RESPONSE: usize = 16 << 20;

/// Maximum number of connections of which the supervisor closes each one before it answers the first request.
const MAX_CONNECTIONS: usize = 10;

/// Error of a request to a supervisor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The socket cannot be used.
    #[error(transparent)]
    Place(#[from] SupervisorFilesError),
    /// The supervisor ended or was killed before it answered.
    #[error("the supervisor ended before it answered")]
    Disconnected,
    /// The supervisor is stopped or overloaded.
    #[error("the supervisor did not answer within {} s", timeout.as_secs())]
    TimedOut {
        /// Time that the client waited.
        timeout: Duration,
    },
    /// The supervisor refused the request.
    #[error("the supervisor refused the request: {0}")]
    Refused(RpcError),
    /// The answer is not valid, for example because of different versions.
    #[error("invalid answer from the supervisor: {reason}")]
    InvalidResponse {
        /// The problem.
        reason: String,
    },
}

/// Connection to a supervisor.
#[derive(Debug)]
pub struct ControlClient {
    lines: Framed<UnixStream, LinesCodec>,
    id: u64,
}

impl ControlClient {
    /// Connects to the supervisor; `None` if none is running.
    ///
    /// # Errors
    ///
    /// The supervisor runs but cannot be reached, or its files are not private to the user.
    pub async fn connect(files: &SupervisorFiles) -> Result<Option<Self>, ControlError> {
        let stream = files.connect().await?;
        let lines = |stream| Framed::new(stream, LinesCodec::new_with_max_length(MAX_RESPONSE));
        Ok(stream.map(|stream| Self { lines: lines(stream), id: 0 }))
    }

    /// Connects to the supervisor, and sends a request that may be repeated; `None` if no supervisor is running. A supervisor
    /// that closes the connection has ended, or needs it for another client: so this connects again.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect) and [`call`](Self::call).
    pub async fn connect_and_call<M: Method>(
        files: &SupervisorFiles,
        params: &M::Params,
        call_timeout: Duration,
    ) -> Result<Option<(Self, M::Result)>, ControlError> {
        for _ in 0..MAX_CONNECTIONS {
            let Some(mut client) = Self::connect(files).await? else { return Ok(None) };
            match client.call::<M>(params, call_timeout).await {
                Ok(result) => return Ok(Some((client, result))),
                Err(ControlError::Disconnected) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ControlError::Disconnected)
    }

    /// Sends a request and waits for the response. After an error, or if the future is dropped, the client cannot be used any more.
    ///
    /// # Errors
    ///
    /// The supervisor refuses the request, does not answer in time, or is gone.
    pub async fn call<M: Method>(
        &mut self,
        params: &M::Params,
        call_timeout: Duration,
    ) -> Result<M::Result, ControlError> {
        self.id += 1;
        let id = Id::number(self.id);
        let response = async {
            self.lines.send(message::call(Some(&id), M::NAME, params)).await.map_err(codec_error)?;
            self.lines.next().await.ok_or(ControlError::Disconnected)?.map_err(codec_error)
        };
        let line =
            timeout(call_timeout, response).await.map_err(|_| ControlError::TimedOut { timeout: call_timeout })??;
        let not_understood = |reason: String| ControlError::InvalidResponse { reason };
        match message::parse_server_message(&line) {
            Some(ServerMessage::Response { id: answered, result }) if answered == id => {
                let raw = result.map_err(ControlError::Refused)?;
                serde_json::from_str(raw.get()).map_err(|error| not_understood(error.to_string()))
            }
            _ => Err(not_understood("it does not match the request".into())),
        }
    }

    /// Waits until the supervisor has closed its socket, the last thing that it does.
    pub async fn wait_until_closed(mut self) {
        while let Some(Ok(_)) = self.lines.next().await {}
    }
}

fn codec_error(error: LinesCodecError) -> ControlError {
    match error {
        LinesCodecError::MaxLineLengthExceeded => ControlError::InvalidResponse { reason: "it is too long".into() },
        LinesCodecError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            ControlError::InvalidResponse { reason: error.to_string() }
        }
        LinesCodecError::Io(_) => ControlError::Disconnected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{CircleNames, Down, Reload, Status};
    use protocol::methods::NoParams;

    const TIMEOUT: Duration = Duration::from_secs(5);

    async fn call<M: Method>(params: &M::Params) -> Result<M::Result, ControlError> {
        let (stream, _silent) = UnixStream::pair().expect("a pair");
        let mut client = ControlClient { lines: Framed::new(stream, LinesCodec::new()), id: 0 };
        client.call::<M>(params, TIMEOUT).await
    }

    /// The supervisor needs the connection for another client.
    #[tokio::test]
    async fn client_connects_again_when_its_first_connections_are_closed() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let files =
            SupervisorFiles::create(&config, &home.path().join("run"), &home.path().join("state")).expect("valid");
        let mut lock = files.lock_supervisor().expect("free");
        let listener = files.listen(&mut lock).expect("it listens");
        let listener = tokio::net::UnixListener::from_std(listener).expect("it listens");
        let connect = async |files| ControlClient::connect_and_call::<Status>(files, &NoParams {}, TIMEOUT).await;
        let supervisor = async {
            for _ in 1..MAX_CONNECTIONS {
                drop(listener.accept().await.expect("a client"));
            }
            let (stream, _) = listener.accept().await.expect("a client");
            let mut lines = Framed::new(stream, LinesCodec::new());
            lines.next().await.expect("a request").expect("a line");
            let statuses = crate::supervisor::SupervisorSnapshot::default().statuses(None);
            lines.send(message::response(Some(&Id::number(1)), Ok(&statuses))).await.expect("it is read");
        };
        let (client, ()) = tokio::join!(connect(&files), supervisor);
        assert!(client.expect("an answer").is_some());
        // One that closes all of them.
        let closing = async {
            loop {
                drop(listener.accept().await.expect("a client"));
            }
        };
        tokio::select! {
            client = connect(&files) => {
                assert!(matches!(client, Err(ControlError::Disconnected)), "{client:?}");
            }
            () = closing => {}
        }
    }

    /// A stopped supervisor accepts what is written to its socket, and does not answer.
    #[tokio::test(start_paused = true)]
    async fn call_times_out_on_silent_supervisor() {
        let started_at = tokio::time::Instant::now();
        let calls = tokio::join!(
            call::<Status>(&NoParams {}),
            call::<Reload>(&NoParams {}),
            call::<Down>(&CircleNames { names: None }),
        );
        let is_late = |error: &ControlError| error.to_string() == "the supervisor did not answer within 5 s";
        assert!(calls.0.is_err_and(|error| is_late(&error)));
        assert!(calls.1.is_err_and(|error| is_late(&error)));
        assert!(calls.2.is_err_and(|error| is_late(&error)));
        assert!(started_at.elapsed() >= TIMEOUT);
    }
}
