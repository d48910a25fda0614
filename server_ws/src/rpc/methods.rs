//! The methods, one in each file.

pub(crate) mod authenticate;
pub(crate) mod call;
pub(crate) mod cancel;
pub(crate) mod complete;
pub(crate) mod describe;
pub(crate) mod discover;
pub(crate) mod fetch_nonce;
pub(crate) mod identify;
pub(crate) mod lookup;
pub(crate) mod play;
pub(crate) mod reset;
pub(crate) mod scope;
pub(crate) mod subscribe;

use std::time::{SystemTime, UNIX_EPOCH};

fn now_unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
