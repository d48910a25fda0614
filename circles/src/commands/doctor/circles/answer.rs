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
const LAYERS: usize = 8;

/// Characters of what a circle calls itself or a layer.
const WORD: usize = 64;

/// What is at a URL.
pub(super) enum Answer {
    Circle {
        name: String,
        access: Access,
        sandbox: Vec<String>,
    },
    /// No circle, or none that answers in time: why.
    None(String),
}

impl Answer {
    /// Whether it is the circle of that name.
    pub(super) fn is_of(&self, circle: &str) -> bool {
        matches!(self, Self::Circle { name, .. } if name == circle)
    }
}

/// Asks a circle.
pub(super) async fn ask(url: String, config: Option<&Path>, patience: Duration) -> Answer {
    let asked = async {
        let check =
            IdentityCheck::new(UserFiles::for_current_user(), &ConnectOptions::default(), config).without_recording();
        let client = check.attach(CircleWsClient::builder(url)).timeout(patience).build()?;
        client.connect().await?;
        fetch_description(&client).await
    };
    match timeout(patience, asked).await {
        Ok(Ok(said)) => Answer::Circle {
            name: short(&said.name),
            access: said.access,
            sandbox: said.sandbox.iter().take(LAYERS).map(|layer| short(layer)).collect(),
        },
        Ok(Err(error)) => Answer::None(error.to_string()),
        Err(_) => Answer::None(format!("no answer within {} s", patience.as_secs())),
    }
}

/// As much of it as is worth a line.
fn short(word: &str) -> String {
    word.chars().take(WORD).collect()
}
