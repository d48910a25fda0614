//! Host functions and their calls, as names, numbers and JSON.

use serde::{Deserialize, Serialize};

/// A module of functions that the program offers to scripts: `stock::reserve("tea", 2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostModule {
    /// The module's name: an identifier in Rhai.
    pub name: String,
    /// The functions. Several functions can share a name if they differ in the number of parameters.
    pub functions: Vec<HostFunction>,
}

/// A function of a [`HostModule`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFunction {
    /// The function's name: an identifier in Rhai.
    pub name: String,
    /// The names of the parameters.
    pub params: Vec<String>,
    /// The documentation, for `lookup`.
    pub doc: String,
}

impl HostFunction {
    /// The signature as `complete` and `lookup` show it.
    pub(crate) fn signature(&self) -> String {
        format!("{}({})", self.name, self.params.join(", "))
    }
}

/// A call of a host function by a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCall {
    /// The play's number.
    pub play: u64,
    /// Number of the call within its worker: consecutive, from 1.
    pub number: u64,
    /// Index of the function among the functions of all modules, in the order of
    /// [`WorkerSetup::host`](crate::WorkerSetup::host).
    pub function: u32,
    /// The arguments as a JSON array. A compromised worker may send any text.
    pub args: String,
}

/// The outcome of a host call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostReturn {
    /// The function returned a value, as JSON.
    Value(String),
    /// The function failed, with an error that the script can catch.
    Failed(HostError),
    /// The call was aborted, and the play ends.
    Aborted,
}

/// The error of a host function, as the script sees it.
///
/// There is no conversion from other errors, because their texts may not be meant for scripts:
/// [`HostError::internal`] logs such an error and hides its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostError {
    /// The text for a person.
    pub message: String,
    /// The data for a program, as JSON.
    pub data: Option<String>,
}

/// The value of `error` in the error of a host function that a script catches.
pub const HOST_ERROR: &str = "HostError";
