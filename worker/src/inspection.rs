//! Queries about an environment besides its plays: completion, scope, documentation of
//! functions, and hints on errors.
//!
//! Runs in the worker, on both of its threads. Names, types and functions come from the [`Inventory`], which both
//! threads can read; values and members of maps come from the environment, which only the evaluating thread can access.

mod answer;
mod budget;
mod completion;
mod cursor;
mod declarations;
mod docs;
mod function_files;
mod hints;
mod inventory;
mod library;
mod lookup;
mod scope;
mod values;

pub(crate) use answer::answer;
pub use function_files::{DeclaredFunction, FunctionFileError, inspect_functions};
pub(crate) use function_files::{ParsedFile, parse_function_files};
pub(crate) use hints::hint;
pub(crate) use inventory::{Inventory, SharedInventory};
pub(crate) use values::Values;

#[cfg(test)]
mod tests;
