//! The requests that authenticate a connection with a key, for clients that send their own messages.

use futures_util::{SinkExt, StreamExt};
use keys::{KeyPair, Nonce};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{BoxError, WsConnection};

/// Returns the request for a nonce.
pub(crate) fn nonce_request(keypair: &KeyPair) -> String {
    let pubkey = keypair.public_key().to_hex();
    json!({ "jsonrpc": "2.0", "id": 0, "method": "fetch_nonce", "params": { "pubkey": pubkey } }).to_string()
}

/// Returns the request that authenticates, with the signature of the nonce in a response.
pub(crate) fn signature_request(keypair: &KeyPair, response: &str) -> Result<String, BoxError> {
    let response: Value = serde_json::from_str(response)?;
    let nonce = response["result"]["nonce"].as_str().ok_or_else(|| format!("no nonce: {response}"))?;
    let signature = keypair.sign_nonce(&Nonce::parse(nonce)?).to_string();
    let params = json!({ "pubkey": keypair.public_key().to_hex(), "signature": signature });
    Ok(json!({ "jsonrpc": "2.0", "id": 0, "method": "authenticate", "params": params }).to_string())
}

/// Checks the response to the request that authenticates.
pub(crate) fn check_authenticated(response: &str) -> Result<(), BoxError> {
    let parsed: Value = serde_json::from_str(response)?;
    let is_authenticated = parsed["result"]["authenticated"] == true;
    if is_authenticated { Ok(()) } else { Err(format!("not authenticated: {response}").into()) }
}

/// Authenticates a connection that has sent nothing.
pub(crate) async fn authenticate(client: &mut WsConnection, keypair: &KeyPair) -> Result<(), BoxError> {
    let response = exchange(client, nonce_request(keypair)).await?;
    let request = signature_request(keypair, &response)?;
    let response = exchange(client, request).await?;
    check_authenticated(&response)
}

/// Sends a request and returns the next text message, the response.
async fn exchange(client: &mut WsConnection, request: String) -> Result<String, BoxError> {
    client.send(Message::text(request)).await?;
    loop {
        let message = client.next().await.ok_or("the connection ended")??;
        if message.is_text() {
            return Ok(message.to_text()?.to_owned());
        }
    }
}
