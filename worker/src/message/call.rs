//! Function files, and the calls of their functions.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{named_value::NamedValue, value::Value};

/// A script file whose public functions the program can call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionFile {
    /// The name under which other files call the functions: an identifier, such as `order`.
    pub name: String,
    /// The path for errors and tracebacks, such as `shop/order.rhai`.
    pub path: String,
    /// The script.
    pub source: String,
}

/// The function files of a worker.
///
/// A worker evaluates the top level of each file once, before the first call. In the functions of the file, its constants
/// are `global::NAME`. A closure in a constant has its own copies of the variables that it captures, for each time that
/// it is called.
///
/// Functions of one file call each other by their names. Functions of other files are `NAMESPACE::FILE(…)` for the
/// function with the name of its file, and `NAMESPACE::FILE::NAME(…)` for the others. Only functions without `private`
/// can be called from other files. Files pass each other values; a closure can be called only in its own file. No top
/// level can call another file or a host function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionFiles {
    /// The module under which the files call each other, such as `circle`. It must not be the name of a module of host
    /// functions.
    pub namespace: String,
    /// The files.
    pub files: Vec<FunctionFile>,
}

/// The start of the message of a [`Call`] whose number no function has.
pub const NO_FUNCTION: &str = "there is no function with the index";

/// One call of a function of [`FunctionFiles`].
///
/// Nothing of a call reaches a later one in the same worker: each has its own scope and constants, and evaluates the
/// modules that it imports. It can only read the values of the files, and cannot change them. State of
/// [native functions](crate::run_if_worker_with) is the exception.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The number of the call, in the same sequence as the numbers of [plays](crate::Play).
    pub number: u64,
    /// Index of the function among the public functions of all files, in the order of
    /// [`inspect_functions`](crate::inspect_functions).
    pub function: u32,
    /// The arguments.
    pub args: &'a [Value],
    /// The constants of this call, besides those of the setup. They replace those of the call before.
    pub constants: &'a [NamedValue],
}

/// The message of a [`Call`], without its constants, which precede it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CallMessage<'a> {
    pub(crate) number: u64,
    pub(crate) function: u32,
    pub(crate) args: Cow<'a, [Value]>,
}
