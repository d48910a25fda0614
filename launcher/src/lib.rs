//! `circles.json`: which circles there are, what each of them is, and a process for each.
//!
//! ```
//! let text = r#"{ "circles": [{ "name": "sandbox", "port": 9001 }] }"#;
//! let circles = launcher::parse(text, std::path::Path::new("circles.json")).unwrap();
//! assert_eq!(circles[0].address.to_string(), "127.0.0.1:9001");
//! ```

mod backoff;
mod config;
mod error;
mod fields;
#[cfg(feature = "schema")]
pub mod schema;
mod supervise;

pub use config::{Circle, dialled, load, parse};
pub use error::ConfigError;
pub use fields::{Restart, Sandbox};
pub use supervise::{BEAT, BEAT_INTERVAL, Event, Happened, READY, SUPERVISED, Supervision, supervise};
