//! The methods of the protocol that a client calls.

use protocol::{
    Id,
    methods::{
        self, CancelParams, CompleteParams, CompleteResult, Description, FunctionDoc, LookupParams, NoParams,
        ScopeResult,
    },
};

use super::CircleWsClient;
use crate::{ClientError, PlayRequest};

impl CircleWsClient {
    /// Returns a request to play a script. Await it for the result, or [`start`](PlayRequest::start) it to receive its
    /// output as well.
    pub fn play(&self, script: impl Into<String>) -> PlayRequest<'_> {
        PlayRequest::new(self, script.into())
    }

    /// Cancels a running or queued play. Returns false if the play had already ended.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn cancel(&self, play: &Id) -> Result<bool, ClientError> {
        let params = CancelParams { play: play.clone() };
        self.request::<methods::Cancel>(&params).await.map(|result| result.cancelled)
    }

    /// Replaces the session's environment with a fresh one, after the plays before it.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn reset(&self) -> Result<(), ClientError> {
        let connection = self.connection().await?;
        let sent = connection.requests.send::<methods::Reset>(&NoParams {}, None).await?;
        // No timeout: the circle answers after the plays before, which have their own time limits.
        connection.requests.parse::<methods::Reset>(connection.requests.response(sent.response).await)?;
        // The operator may have changed the circle's limits, which apply to fresh environments.
        connection.limit.forget_stated();
        Ok(())
    }

    /// Requests completions at a cursor, which is a count of Unicode scalar values from the start of the script (as in
    /// `script.chars()`). While a play runs, the circle answers with the names that existed before it.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Rpc`] with code −32602 if the cursor is after the end of the script, and other errors if
    /// the connection or the request fails.
    pub async fn complete(&self, script: impl Into<String>, cursor: u64) -> Result<CompleteResult, ClientError> {
        self.request::<methods::Complete>(&CompleteParams { script: script.into(), cursor }).await
    }

    /// Requests the variables and script functions of this session. While a play runs, the circle answers with those
    /// that existed before it, without their values.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn scope(&self) -> Result<ScopeResult, ClientError> {
        self.request::<methods::Scope>(&NoParams {}).await
    }

    /// Requests the documentation of all functions with a name or an `alias::name`. The list is empty for an unknown
    /// name.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn lookup(&self, name: impl Into<String>) -> Result<Vec<FunctionDoc>, ClientError> {
        self.request::<methods::Lookup>(&LookupParams { name: name.into() }).await.map(|result| result.functions)
    }

    /// Requests the description of the circle: its limits, its modules, and the key that this session authenticated
    /// with.
    ///
    /// The answer also sets the maximum size of the circle's messages, derived from its `output_kib`, until the
    /// environment is replaced; otherwise, and at most, it is 32 MiB. A larger message closes the connection.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn describe(&self) -> Result<Description, ClientError> {
        let connection = self.connection().await?;
        let description = connection.requests.call::<methods::Describe>(&NoParams {}, self.timeout()).await?;
        connection.limit.set_stated(description.limits.output_kib, description.limits.store_kib);
        Ok(description)
    }

    /// Requests the description of the protocol, an `OpenRPC` document.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn discover(&self) -> Result<serde_json::Value, ClientError> {
        self.request::<methods::Discover>(&NoParams {}).await
    }
}
