//! Host functions and their calls, as names, numbers and JSON.

use serde::{Deserialize, Serialize};

/// A module of functions that the program offers to scripts: `stock::reserve("tea", 2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostModule {
    /// The module's name: an identifier in Rhai.
    pub name: String,
    /// The functions. Several functions can share a name if they differ in the number of parameters.
    pub functions: Vec<HostFunction>,
    /// Whether arguments keep their types: a blob is an object with the member [`BLOB_MEMBER`], as in results, and a number
    /// that is not finite has no form. Otherwise a blob is an array of integers, and such a number is null.
    pub keeps_types: bool,
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
    /// The signature with types, as `complete` and `lookup` show it: `reserve(item: string) -> int`. Without one, they
    /// show the names of the parameters.
    pub signature: Option<String>,
}

impl HostFunction {
    /// The signature as `complete` and `lookup` show it.
    pub(crate) fn signature(&self) -> String {
        self.signature.clone().unwrap_or_else(|| self.call())
    }

    /// A call with the names of the parameters as arguments.
    pub(crate) fn call(&self) -> String {
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

impl HostReturn {
    /// The bytes of the value or the error, which [`WorkerLimits::host_bytes`](crate::WorkerLimits::host_bytes) bounds.
    pub fn bytes(&self) -> u64 {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let bytes = match self {
            Self::Value(json) => json.len(),
            Self::Failed(HostError { message, code, data }) => message.len() + len(code) + len(data),
            Self::Aborted => 0,
        };
        bytes as u64
    }
}

/// The error of a host function, as the script sees it.
///
/// A type of the program that implements [`CodedError`](crate::CodedError) converts into this error, also with `?`.
/// Other errors do not, because their texts may not be meant for scripts: [`Internal::internal`](crate::Internal::internal)
/// logs such an error and hides its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostError {
    /// The text for a person.
    pub(crate) message: String,
    /// The code by which programs recognize the error.
    pub(crate) code: Option<String>,
    /// The data for a program, as JSON.
    pub(crate) data: Option<String>,
}

/// The value of `error` in the error of a host function that a script catches.
pub const HOST_ERROR: &str = "HostError";

/// The only member of a JSON object that stands for a blob in the result of a host function. Its value is the base64 of
/// the bytes.
pub const BLOB_MEMBER: &str = "$circles::blob";
