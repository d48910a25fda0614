//! The authentication of a connection of the load generator, while the connection still blocks.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use keys::KeyPair;

use super::websocket::{self, Frame};
use crate::{BoxError, login};

/// The callers of the connections of one load.
pub(super) enum Callers {
    /// All connections are anonymous, and one caller by their address.
    Anonymous,
    /// All connections authenticate with one key.
    One(Arc<KeyPair>),
    /// Each connection authenticates with a new key.
    Many,
}

impl Callers {
    /// Authenticates a connection that has sent nothing since its upgrade.
    pub(super) fn authenticate(&self, stream: &mut TcpStream) -> Result<(), BoxError> {
        match self {
            Self::Anonymous => Ok(()),
            Self::One(keypair) => authenticate(stream, keypair),
            Self::Many => authenticate(stream, &KeyPair::generate()?),
        }
    }
}

fn authenticate(stream: &mut TcpStream, keypair: &KeyPair) -> Result<(), BoxError> {
    let response = exchange(stream, &login::nonce_request(keypair))?;
    let response = exchange(stream, &login::signature_request(keypair, &response)?)?;
    login::check_authenticated(&response)
}

/// Sends a request and returns the next text message, the response.
fn exchange(stream: &mut TcpStream, request: &str) -> Result<String, BoxError> {
    let mut frame = Vec::new();
    websocket::append_frame(websocket::TEXT, request.as_bytes(), &mut frame);
    stream.write_all(&frame)?;
    let (mut input, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        if let Some((end, frame)) = websocket::first_frame(&input)? {
            if let Frame::Text(payload) = frame {
                return Ok(String::from_utf8(payload.to_vec())?);
            }
            input.drain(..end);
            continue;
        }
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err("the connection ended during the authentication".into());
        }
        input.extend_from_slice(&chunk[..count]);
    }
}
