//! The client of a circle for web pages: `client_ws` and `keys` with a JavaScript API. `docs/browser.md` describes the
//! API for those who write a page.

#![cfg(target_arch = "wasm32")]

pub mod circle;
mod errors;
mod json;
pub mod key;
mod types;
