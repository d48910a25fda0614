//! What a circle reports about its worker pool.

use serde::{Deserialize, Serialize};

/// Maximum number of machines in a report. The counts are of all.
pub const MAX_REPORTED_MACHINES: usize = 64;

/// Whether a circle gets workers from other machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WorkerPoolState {
    /// It does.
    #[default]
    Ok,
    /// All places of the machines are used, or the machines drain.
    Full,
    /// No machine runs.
    NoMachine,
    /// Only machines of other builds run.
    OtherBuild,
    /// There is no connection to NATS.
    Disconnected,
    /// NATS refuses the credentials.
    Refused,
    /// NATS refuses a permission.
    Denied,
    /// Another circle of the same name uses the NATS servers.
    Conflict,
    /// A state of a later version.
    #[serde(other)]
    Unknown,
}

/// Status of the worker pool of a circle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerPoolStatus {
    /// Whether the circle gets workers.
    pub state: WorkerPoolState,
    /// Number of machines of the circle's build.
    pub machines: u64,
    /// Number of machines of other builds. They run no workers of the circle.
    pub other_builds: u64,
    /// Number of places on the machines of the circle's build.
    pub places: u64,
    /// Number of workers on these machines, of all circles and servers.
    pub used: u64,
    /// Number of workers of this circle's server.
    pub workers: u64,
    /// Number of workers that wait for a machine.
    pub waiting: u64,
    /// Number of placed workers since the process started.
    pub placements: u64,
    /// Number of workers that no machine could run since the process started.
    pub failed_placements: u64,
    /// Median time from the request to the worker in microseconds, of the last 128 placements; absent before the first one.
    pub placement_p50_us: Option<u64>,
    /// Number of machines with workers that were out of reach for too long since the process started.
    pub lost_machines: u64,
    /// Number of connections to NATS after the first one.
    pub reconnects: u64,
    /// Number of messages that were sent again since the process started.
    pub resent: u64,
    /// Number of times that messages for the circle were lost since the process started, because it was too slow.
    #[serde(default)]
    pub lost: u64,
    /// Number of malformed messages since the process started.
    pub malformed: u64,
    /// Build of the circle.
    pub build: String,
    /// What is wrong with the connection to NATS now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The last of these errors, which may be over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<PoolError>,
    /// The other circle of the same name, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
    /// The machines by name, also those of other builds; at most [`MAX_REPORTED_MACHINES`].
    pub list: Vec<WorkerMachineStatus>,
}

/// An error of the connection to NATS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolError {
    /// The text.
    pub text: String,
    /// When it began, as RFC 3339.
    pub at: String,
}

/// Status of a worker machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerMachineStatus {
    /// Name.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Build. Only machines of the circle's build run workers of the circle.
    pub build: String,
    /// Number of workers that the machine accepts.
    pub places: u64,
    /// Number of workers that run there, of all circles and servers.
    pub used: u64,
    /// Whether the machine drains.
    pub is_draining: bool,
    /// Whether several machines have this name.
    pub is_duplicate: bool,
}
