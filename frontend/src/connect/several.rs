//! Several circles at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use client_ws::CircleUrl;
use futures_util::future::join_all;
use keys::{KeyPair, keystore::KeyName};

use super::{Choice, Connected, reach};
use crate::{error::CliError, target};

/// What became of connecting to one of several.
pub struct Attempt {
    /// The circle as it was said.
    pub label: String,
    /// The connected client, or why there is none.
    pub connected: Result<Connected, CliError>,
}

/// Connects to all of them side by side, to each once, however often it was said; the answers are in the order of what was
/// said first. One that cannot be reached, or does not admit the key, keeps nobody from the others. The error is a mistake in what was said, or a key that cannot be
/// had: then nothing is proved to anyone. `unlock` is asked for each key once.
pub async fn several(
    said: &[String],
    config: Option<&Path>,
    choice: &Choice,
    mut unlock: impl AsyncFnMut(&KeyName) -> Result<Arc<KeyPair>, CliError>,
) -> Result<Vec<Attempt>, CliError> {
    let (mut labels, mut found, mut urls) = (Vec::new(), Vec::new(), BTreeSet::new());
    for said in said {
        let one = unless_mistaken(target::find(said, config).await)?;
        // Whose URL is none is told when it is dialled.
        let url = one.as_ref().ok().and_then(|one| CircleUrl::parse(&one.url).ok());
        if url.is_none_or(|url| urls.insert(url.as_str().to_owned())) {
            labels.push(said.clone());
            found.push(one);
        }
    }
    let reach = async |found| reach(found?, choice).await;
    let mut reached = Vec::new();
    for answer in join_all(found.into_iter().map(reach)).await {
        reached.push(unless_mistaken(answer)?);
    }
    let mut keys: BTreeMap<KeyName, Arc<KeyPair>> = BTreeMap::new();
    for name in reached.iter().flatten().filter_map(|reached| reached.key()) {
        if !keys.contains_key(name) {
            keys.insert(name.clone(), unlock(name).await?);
        }
    }
    let prove = async |reached: Result<super::Reached, CliError>| {
        let reached = reached?;
        match reached.key().and_then(|name| keys.get(name)) {
            Some(keypair) => {
                let keypair = keypair.clone();
                reached.prove(keypair).await
            }
            None => Ok(reached.without_proof()),
        }
    };
    let connected = join_all(reached.into_iter().map(prove)).await;
    Ok(labels.into_iter().zip(connected).map(|(label, connected)| Attempt { label, connected }).collect())
}

/// A circle that is not there is one thing; what nobody could connect with is another.
fn unless_mistaken<T>(answer: Result<T, CliError>) -> Result<Result<T, CliError>, CliError> {
    match answer {
        Err(error) if matches!(error.exit_code(), 2 | 6) => Err(error),
        answer => Ok(answer),
    }
}
