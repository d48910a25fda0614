//! Who may hold how much of a circle: connections, workers and their memory, plays and host calls that run. Each quota is
//! bounded for the whole circle and for one caller, so that no caller takes what others need.

pub(crate) mod admission;
pub(crate) mod caller;
pub(crate) mod capacity;
pub(crate) mod derived_limits;
pub(crate) mod fair_semaphore;
pub(crate) mod kernel;
pub(crate) mod memory;
