//! `circles.json`: which circles there are, what each of them is, and a process for each.
//!
//! ```
//! let text = r#"{ "circles": [{ "name": "sandbox", "port": 9001 }] }"#;
//! let circles = launcher::parse(text, std::path::Path::new("circles.json")).unwrap();
//! assert_eq!(circles[0].address.to_string(), "127.0.0.1:9001");
//! ```

mod backoff;
mod config;
pub mod control;
mod definition;
mod diff;
mod error;
mod event;
mod fields;
mod life;
pub mod link;
pub mod log;
mod manager;
pub mod place;
pub mod port;
mod reader;
#[cfg(feature = "schema")]
pub mod schema;
mod state;
pub mod supervisor;
mod watch;

pub use config::{CircleConfig, ConfigLocator, connect_address, load, parse, parse_host, parse_origin, parse_proxy};
pub use control::{CircleStatus, Statuses};
pub use diff::{CircleChange, CircleField, ReloadAction};
pub use error::ConfigError;
pub use event::{CircleEvent, CircleEventKind, SupervisorHandle};
pub use fields::{Audit, LogFormat, RestartPolicy, Sandbox};
pub use life::SUPERVISED;
pub use log::AuditRotation;
pub use manager::SdNotifier;
pub use state::CircleState;
pub use supervisor::SUPERVISOR_LOG_NAME;
