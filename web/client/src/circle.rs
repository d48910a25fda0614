//! A connection to a circle.

use std::{cell::RefCell, rc::Rc, time::Duration};

use client_ws::{CircleWsClient, ClientError, Notice, PlayEvent, PlayResult};
use futures_channel::oneshot;
use futures_util::FutureExt;
use js_sys::Function;
use keys::PublicKey;
use serde::Deserialize;
use serde_json::json;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::spawn_local;

use crate::{
    errors::{client_error, error},
    json::to_js,
    key::Key,
};

#[wasm_bindgen]
extern "C" {
    /// `PlayOptions` of TypeScript.
    #[wasm_bindgen(typescript_type = "PlayOptions | undefined")]
    pub type Options;
    /// A callback for events of a play.
    #[wasm_bindgen(typescript_type = "(event: PlayEvent) => void")]
    pub type OnEvent;
    /// A callback for notices of the session.
    #[wasm_bindgen(
        typescript_type = "(notice: { kind: 'environmentLost', reason: string } | { kind: 'ended', error: CircleError }) => void"
    )]
    pub type OnNotice;
    /// `Identity` of TypeScript.
    #[wasm_bindgen(typescript_type = "Identity")]
    pub type Identity;
    /// `PlayResult` of TypeScript.
    #[wasm_bindgen(typescript_type = "PlayResult")]
    pub type ResultOfPlay;
    /// `Completions` of TypeScript.
    #[wasm_bindgen(typescript_type = "Completions")]
    pub type Completions;
    /// `Scope` of TypeScript.
    #[wasm_bindgen(typescript_type = "Scope")]
    pub type Scope;
    /// `FunctionDoc[]` of TypeScript.
    #[wasm_bindgen(typescript_type = "FunctionDoc[]")]
    pub type FunctionDocs;
    /// `Description` of TypeScript.
    #[wasm_bindgen(typescript_type = "Description")]
    pub type Description;
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct PlayOptions {
    name: Option<String>,
    timeout_ms: Option<u64>,
    bind: Option<String>,
}

/// A session on a circle.
#[wasm_bindgen]
pub struct Circle {
    client: Rc<CircleWsClient>,
}

#[wasm_bindgen]
impl Circle {
    /// Connects to the circle at a `ws://` or `wss://` URL, and verifies its identity before anything else is sent. With
    /// an expected identity (a public key as hex), another circle is refused. Without one, every valid identity is
    /// accepted: show it to the user.
    pub async fn connect(url: String, expected_identity: Option<String>) -> Result<Circle, JsValue> {
        let mut builder = CircleWsClient::builder(url);
        builder = match expected_identity {
            Some(text) => {
                let key = text.parse::<PublicKey>().map_err(|failure| error("usage", &failure.to_string()))?;
                builder.expect_identity(key)
            }
            None => builder.accept_ephemeral_identity(),
        };
        let client = builder.build().map_err(|failure| client_error(&failure))?;
        client.connect().await.map_err(|failure| client_error(&failure))?;
        Ok(Self { client: Rc::new(client) })
    }

    /// The verified identity of the circle.
    #[wasm_bindgen(getter)]
    pub fn identity(&self) -> Identity {
        let identity = self
            .client
            .identity()
            .map(|identity| json!({ "publicKey": identity.public_key.to_hex(), "persistent": identity.is_persistent }));
        to_js(&identity).unchecked_into()
    }

    /// Whether the connection is there, as far as the client knows.
    #[wasm_bindgen(getter)]
    pub fn connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Calls back when the environment is lost between plays, and once when the connection ends.
    #[wasm_bindgen(js_name = onNotice)]
    pub fn on_notice(&self, on_notice: OnNotice) {
        let client = self.client.clone();
        let on_notice: Function = on_notice.unchecked_into();
        spawn_local(async move {
            loop {
                let (notice, is_end) = match client.next_notice().await {
                    Ok(Notice::EnvironmentLost { reason }) => {
                        (to_js(&json!({ "kind": "environmentLost", "reason": reason })), false)
                    }
                    Ok(_) => continue,
                    Err(failure) => {
                        let notice = to_js(&json!({ "kind": "ended" }));
                        let _is_set = js_sys::Reflect::set(&notice, &"error".into(), &client_error(&failure));
                        (notice, true)
                    }
                };
                // An exception of the callback is the page's own.
                let _thrown = on_notice.call1(&JsValue::NULL, &notice);
                if is_end {
                    return;
                }
            }
        });
    }

    /// Authenticates the session with a key.
    pub async fn authenticate(&self, key: &Key) -> Result<(), JsValue> {
        let (client, keypair) = (self.client.clone(), key.0.clone());
        client.authenticate_as(keypair).await.map_err(|failure| client_error(&failure))
    }

    /// Sends a script, and calls back with what it prints and how far it is.
    pub async fn start(&self, script: String, options: Options, on_event: OnEvent) -> Result<RunningPlay, JsValue> {
        let options = options_of(options.unchecked_into())?;
        let (client, on_event) = (self.client.clone(), on_event.unchecked_into::<Function>());
        let (started, start) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let running = client.clone();
        spawn_local(async move {
            let mut request = running.play(script);
            if let Some(name) = &options.name {
                request = request.name(name);
            }
            if let Some(bind) = options.bind {
                request = request.bind(bind);
            }
            if let Some(timeout_ms) = options.timeout_ms {
                request = request.timeout(Duration::from_millis(timeout_ms));
            }
            let mut play = match request.start().await {
                Ok(play) => play,
                Err(failure) => return drop(started.send(Err(failure))),
            };
            if started.send(Ok(play.id().clone())).is_err() {
                return;
            }
            while let Some(event) = play.next().await {
                if let Some(event) = event_to_js(&event) {
                    let _thrown = on_event.call1(&JsValue::NULL, &event);
                }
            }
            drop(ended.send(play.result().await));
        });
        let id = start.await.unwrap_or(Err(ClientError::NotConnected)).map_err(|failure| client_error(&failure))?;
        Ok(RunningPlay { client, id, end: Rc::new(RefCell::new(Some(end))) })
    }

    /// Requests completions at a cursor, which is a count of Unicode scalar values from the start of the script.
    pub async fn complete(&self, script: String, cursor: u32) -> Result<Completions, JsValue> {
        let client = self.client.clone();
        let result = client.complete(script, cursor.into()).await.map_err(|failure| client_error(&failure))?;
        Ok(to_js(&result).unchecked_into())
    }

    /// Requests the variables and script functions of the session.
    pub async fn scope(&self) -> Result<Scope, JsValue> {
        let client = self.client.clone();
        let result = client.scope().await.map_err(|failure| client_error(&failure))?;
        Ok(to_js(&result).unchecked_into())
    }

    /// Requests the documentation of the functions with a name.
    pub async fn lookup(&self, name: String) -> Result<FunctionDocs, JsValue> {
        let client = self.client.clone();
        let result = client.lookup(name).await.map_err(|failure| client_error(&failure))?;
        Ok(to_js(&result).unchecked_into())
    }

    /// Requests the circle's description of itself and of the caller.
    pub async fn describe(&self) -> Result<Description, JsValue> {
        let client = self.client.clone();
        let result = client.describe().await.map_err(|failure| client_error(&failure))?;
        Ok(to_js(&result).unchecked_into())
    }

    /// Replaces the session's environment with a fresh one, after the plays before it.
    pub async fn reset(&self) -> Result<(), JsValue> {
        let client = self.client.clone();
        client.reset().await.map_err(|failure| client_error(&failure))
    }

    /// Closes the connection. The circle cancels the plays of the session.
    pub fn close(&self) {
        self.client.disconnect();
    }
}

/// A play that was sent.
#[wasm_bindgen]
pub struct RunningPlay {
    client: Rc<CircleWsClient>,
    id: client_ws::Id,
    end: Rc<RefCell<Option<oneshot::Receiver<Result<PlayResult, ClientError>>>>>,
}

#[wasm_bindgen]
impl RunningPlay {
    /// Cancels the play. Returns false if the play had already ended.
    pub async fn cancel(&self) -> Result<bool, JsValue> {
        let (client, id) = (self.client.clone(), self.id.clone());
        client.cancel(&id).await.map_err(|failure| client_error(&failure))
    }

    /// Waits for the result, once.
    pub async fn result(&self) -> Result<ResultOfPlay, JsValue> {
        let end = self.end.borrow_mut().take();
        let end = end.ok_or_else(|| error("usage", "the result of a play can be taken once"))?;
        let result = end.map(|end| end.unwrap_or(Err(ClientError::NotConnected))).await;
        let result = result.map_err(|failure| client_error(&failure))?;
        let value = json!({
            "output": result.output,
            "type": result.r#type,
            "json": result.value.as_json(),
            "elapsedUs": result.elapsed_us,
            "operations": result.operations,
        });
        Ok(to_js(&value).unchecked_into())
    }
}

fn event_to_js(event: &PlayEvent) -> Option<JsValue> {
    match event {
        PlayEvent::Output(output) => {
            Some(to_js(&json!({ "kind": "output", "text": output.text, "stream": output.stream })))
        }
        PlayEvent::Progress(progress) => Some(to_js(&json!({
            "kind": "progress",
            "operations": progress.operations,
            "elapsedUs": progress.elapsed_us,
            "done": progress.done,
            "total": progress.total,
            "text": progress.text,
        }))),
        PlayEvent::EventsDropped { count } => Some(to_js(&json!({ "kind": "dropped", "count": count }))),
        _ => None,
    }
}

fn options_of(options: JsValue) -> Result<PlayOptions, JsValue> {
    if options.is_undefined() || options.is_null() {
        return Ok(PlayOptions::default());
    }
    let text = js_sys::JSON::stringify(&options).map(String::from)?;
    serde_json::from_str(&text).map_err(|failure| error("usage", &format!("the options of a play: {failure}")))
}
