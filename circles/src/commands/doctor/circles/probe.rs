//! Description of a circle, which the circle gives without a key.

use std::{path::Path, time::Duration};

use server_ws::Access;
use tokio::time::timeout;

use frontend::{
    connect::{ConnectOptions, fetch_description},
    known_circles::check::{IdentityCheck, UserFiles},
};

/// Largest number of sandbox layers that are read from a description.
const MAX_LAYERS: usize = 8;

/// Longest name of a circle or a layer, in characters.
const MAX_WORD_CHARS: usize = 64;

/// Answer from a URL.
pub(super) enum CircleProbe {
    Circle {
        name: String,
        access: Access,
        sandbox: Vec<String>,
    },
    /// No circle, or no answer in time, with the reason.
    None(String),
}

impl CircleProbe {
    /// Returns whether the circle with this name answered.
    pub(super) fn is_of(&self, circle: &str) -> bool {
        matches!(self, Self::Circle { name, .. } if name == circle)
    }
}

/// Asks a circle for its description.
pub(super) async fn probe(url: String, config: Option<&Path>, answer_timeout: Duration) -> CircleProbe {
    let description = async {
        let check =
            IdentityCheck::new(UserFiles::for_current_user(), &ConnectOptions::default(), config).without_recording();
        let client = ConnectOptions::default().client_builder(&url, check).timeout(answer_timeout).build()?;
        client.connect().await?;
        fetch_description(&client).await
    };
    match timeout(answer_timeout, description).await {
        Ok(Ok(circle)) => CircleProbe::Circle {
            name: short(&circle.name),
            access: circle.access,
            sandbox: circle.sandbox.iter().take(MAX_LAYERS).map(|layer| short(layer)).collect(),
        },
        Ok(Err(error)) => CircleProbe::None(error.to_string()),
        Err(_) => CircleProbe::None(format!("no answer within {} s", answer_timeout.as_secs())),
    }
}

fn short(word: &str) -> String {
    word.chars().take(MAX_WORD_CHARS).collect()
}
