//! What a circle says of itself to whoever asks, which needs no key.

use std::{path::Path, time::Duration};

use client_ws::CircleWsClient;
use server_ws::Access;
use tokio::time::timeout;

use frontend::{
    connect::{ConnectOptions, fetch_description},
    known_circles::check::{IdentityCheck, UserFiles},
};

/// Of what a circle says of its sandbox.
const MAX_LAYERS: usize = 8;

/// Characters of what a circle calls itself or a layer.
const MAX_WORD_CHARS: usize = 64;

/// What is at a URL.
pub(super) enum CircleProbe {
    Circle {
        name: String,
        access: Access,
        sandbox: Vec<String>,
    },
    /// No circle, or none that answers in time: why.
    None(String),
}

impl CircleProbe {
    /// Whether it is the circle of that name.
    pub(super) fn is_of(&self, circle: &str) -> bool {
        matches!(self, Self::Circle { name, .. } if name == circle)
    }
}

/// Asks a circle.
pub(super) async fn probe(url: String, config: Option<&Path>, answer_timeout: Duration) -> CircleProbe {
    let asked = async {
        let check =
            IdentityCheck::new(UserFiles::for_current_user(), &ConnectOptions::default(), config).without_recording();
        let client = check.attach(CircleWsClient::builder(url)).timeout(answer_timeout).build()?;
        client.connect().await?;
        fetch_description(&client).await
    };
    match timeout(answer_timeout, asked).await {
        Ok(Ok(said)) => CircleProbe::Circle {
            name: short(&said.name),
            access: said.access,
            sandbox: said.sandbox.iter().take(MAX_LAYERS).map(|layer| short(layer)).collect(),
        },
        Ok(Err(error)) => CircleProbe::None(error.to_string()),
        Err(_) => CircleProbe::None(format!("no answer within {} s", answer_timeout.as_secs())),
    }
}

/// As much of it as is worth a line.
fn short(word: &str) -> String {
    word.chars().take(MAX_WORD_CHARS).collect()
}
