//! `circles.json`: parses the configuration of circles, and runs and supervises a process for each.
//!
//! ```
//! let text = r#"{ "circles": [{ "name": "sandbox", "port": 9001 }] }"#;
//! let circles = launcher::parse(text, std::path::Path::new("circles.json")).unwrap();
//! assert_eq!(circles[0].address.to_string(), "127.0.0.1:9001");
//! ```

mod backoff;
mod circle_event;
mod circle_runner;
mod circle_state;
mod config;
mod config_error;
mod config_reader;
mod config_watch;
pub mod control;
mod definition;
mod diff;
mod fields;
pub mod ipc;
pub mod log;
pub mod port;
#[cfg(feature = "schema")]
pub mod schema;
mod sd_notifier;
mod store_status;
pub mod supervisor;
pub mod supervisor_files;
mod worker_pool_status;

pub use circle_event::{CircleEvent, CircleEventKind, SupervisorHandle};
pub use circle_runner::SUPERVISED_FLAG;
pub use circle_state::CircleState;
pub use config::{
    CircleConfig, ConfigEditError, ConfigLocator, MemberChange, MemberIdentity, add_member, client_url,
    connect_address, load, parse, parse_host, parse_origin, parse_proxy, playing_access,
};
pub use config_error::ConfigError;
pub use config_watch::watch_files;
pub use control::{CircleStatus, Statuses};
pub use diff::{CircleChange, CircleField, ReloadAction};
pub use fields::{Audit, LogFormat, RestartPolicy, Sandbox, StoreConfig, TlsFiles};
pub use log::AuditRotation;
pub use sd_notifier::SdNotifier;
pub use store_status::{StoreState, StoreStatus};
pub use supervisor::SUPERVISOR_LOG_NAME;
pub use worker_pool_status::{
    MAX_REPORTED_MACHINES, PoolError, WorkerMachineStatus, WorkerPoolState, WorkerPoolStatus,
};
