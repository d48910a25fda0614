//! What a worker uses of its machine.

use std::time::Duration;

use crate::system::usage;

/// What a worker uses of a resource of its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Usage<T> {
    /// The usage.
    Known(T),
    /// The worker is on another machine, whose answer has not arrived. A later call returns it.
    Pending,
    /// Nobody knows: the process has ended, the worker runs on threads, or the system reports nothing.
    Unknown,
}

impl<T> Usage<T> {
    /// The usage, if it is known.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(usage) => Some(usage),
            Self::Pending | Self::Unknown => None,
        }
    }
}

impl<T> From<Option<T>> for Usage<T> {
    fn from(usage: Option<T>) -> Self {
        usage.map_or(Self::Unknown, Self::Known)
    }
}

/// What the process of a worker uses, at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageSample {
    /// The private memory of the process in bytes, as [`Worker::memory_usage`](crate::Worker::memory_usage).
    pub memory_bytes: u64,
    /// The CPU time of the thread that evaluates scripts.
    pub cpu_time: Duration,
}

impl UsageSample {
    pub(super) fn of_process(pid: u32) -> Option<Self> {
        Some(Self { memory_bytes: usage::process_memory(pid)?, cpu_time: usage::cpu_time(pid)? })
    }
}
