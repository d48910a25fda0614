//! Host functions and the calls of them, as both ends know them: names, numbers and JSON.

use serde::{Deserialize, Serialize};

/// Functions of the program that scripts see as those of a module: `stock::reserve("tea", 2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostModule {
    /// Its name: an identifier of Rhai's.
    pub name: String,
    /// What it offers; more than one may have a name, with another number of parameters.
    pub functions: Vec<HostFunction>,
}

/// A function of a [`HostModule`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFunction {
    /// Its name: an identifier of Rhai's.
    pub name: String,
    /// The names of its parameters.
    pub params: Vec<String>,
    /// What it does, for `lookup`.
    pub doc: String,
}

impl HostFunction {
    /// As `complete` and `lookup` show it.
    pub(crate) fn signature(&self) -> String {
        format!("{}({})", self.name, self.params.join(", "))
    }
}

/// A script's call of a host function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCall {
    /// The play's number.
    pub play: u64,
    /// Tells the calls of one worker apart; one more with each, from 1.
    pub number: u64,
    /// Which function: its index among all of the modules' functions, in the order of [`Setup::host`](crate::Setup::host).
    pub function: u32,
    /// The arguments: an array in JSON, of a text that a worker may have made up.
    pub args: String,
}

/// How a host function ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostReturn {
    /// With a value, as JSON.
    Value(String),
    /// With an error, which the script may catch.
    Failed(HostError),
    /// It is not waited for any more: the play ends.
    Aborted,
}

/// What a script sees of a host function's failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostError {
    /// For a person.
    pub message: String,
    /// For a program, as JSON.
    pub data: Option<String>,
}

/// What a script that catches the failure of a host function finds under `error`.
pub const HOST_ERROR: &str = "HostError";
