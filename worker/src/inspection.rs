//! What can be asked of an environment beside its plays: completions, what it holds, what a function does.
//!
//! Runs in the worker, on both of its threads. Names, types and functions come from the [`Inventory`], which any thread
//! may read; values and the members of maps from the environment itself, which only the thread that evaluates can see.

mod answer;
mod budget;
mod completion;
mod cursor;
mod docs;
mod inventory;
mod library;
mod lookup;
mod scope;
mod values;

pub(crate) use answer::answer;
pub(crate) use inventory::{Inventory, SharedInventory};
pub(crate) use values::Values;

#[cfg(test)]
mod tests;
