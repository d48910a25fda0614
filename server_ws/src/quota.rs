//! The quotas of a circle: connections, workers and their memory, running plays and host calls. Each is bounded for the
//! whole circle and for one caller, so that no caller can take everything. Requests can be limited for each caller.

mod admission;
mod caller;
mod caller_semaphores;
mod caller_table;
mod capacity;
mod connections;
mod derived_limits;
mod fair_semaphore;
mod kernel;
mod loss_rate;
mod memory_quota;
mod rate_limit;

pub(crate) use admission::{Admission, WorkerPermit};
pub(crate) use caller::Caller;
pub(crate) use caller_semaphores::CallerSemaphores;
pub(crate) use caller_table::CallerTable;
pub(crate) use connections::{ConnectionRefusal, Connections, HeldBytes, MAX_STRANGER_MESSAGE, Slot};
pub(crate) use derived_limits::{
    PROCESS_DESCRIPTORS, THREADS_DESCRIPTORS, derive_shares, fit_to_descriptors, fit_to_memory,
};
pub(crate) use fair_semaphore::{Contention, FairSemaphore, Grant, Waiter};
pub(crate) use loss_rate::LossRate;
pub(crate) use memory_quota::{MemoryAction, MemoryQuota};
pub(crate) use rate_limit::RateLimit;
