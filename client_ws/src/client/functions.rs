//! Calls of the circle's functions.

use protocol::{FunctionInfo, function_info::FUNCTION_PREFIX};
use serde::{Serialize, de::DeserializeOwned};

use super::CircleWsClient;
use crate::{
    CallRequest, ClientError, RunningCall,
    event_queue::{EventReceiver, EventSender, event_queue},
    running_request::RunningRequest,
};

impl CircleWsClient {
    /// Requests the functions that this session may call, with their types and documentation. The list is empty if the
    /// circle has no functions.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn functions(&self) -> Result<Vec<FunctionInfo>, ClientError> {
        self.discover().await.map(|document| FunctionInfo::all(&document))
    }

    /// Calls a function, and returns its value. Its output and progress are dropped. Parameters are by name from a struct
    /// or a map, by position from a tuple or a sequence, and none from `()`.
    ///
    /// The client's timeout does not apply: the time limits of the function and the circle do. Dropping the future
    /// cancels the call.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Rpc`] if the call failed: with code −32601 if there is no such function for this caller,
    /// with −32602 if the parameters do not fit, and with −32000 if the function threw a value
    /// ([`ScriptError::thrown`](crate::ScriptError::thrown)). Returns [`ClientError::BadParams`] if the parameters are no
    /// parameters, [`ClientError::UnexpectedValue`] if the value is not of the type, and other errors if the connection
    /// is lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(client: client_ws::CircleWsClient) -> Result<(), client_ws::ClientError> {
    /// let price: f64 = client.call("price", ["tea"]).await?;
    /// # Ok(()) }
    /// ```
    pub async fn call<T: DeserializeOwned>(
        &self,
        name: impl Into<String>,
        params: impl Serialize,
    ) -> Result<T, ClientError> {
        let request = CallRequest::new(name).params(params);
        self.send_call(request, None).await?.result().await
    }

    /// Sends a call, and returns it with its events.
    ///
    /// The client keeps up to 32 MiB of events that the program does not take, and drops further ones
    /// ([`PlayEvent::EventsDropped`](crate::PlayEvent::EventsDropped)). Nothing else waits for them.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::BadParams`] if the parameters are no parameters, [`ClientError::NotConnected`] or the
    /// reason why the connection ended.
    pub async fn start_call(&self, request: CallRequest) -> Result<RunningCall, ClientError> {
        self.send_call(request, Some(event_queue())).await
    }

    async fn send_call(
        &self,
        request: CallRequest,
        events: Option<(EventSender, EventReceiver)>,
    ) -> Result<RunningCall, ClientError> {
        let (function, params) = request.into_wire()?;
        let requests = self.connection().await?.requests.clone();
        let (to_call, events) = events.unzip();
        let sent = requests.send_named(&format!("{FUNCTION_PREFIX}{function}"), &params, to_call).await?;
        Ok(RunningCall::new(function, RunningRequest::new(requests, self.timeout(), sent, events)))
    }
}
