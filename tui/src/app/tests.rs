//! Tests of the app on a screen in memory, with faked circles: nothing is lost by a slip.

mod config;
mod display;
mod key_dialogs;
mod random;
mod rig;
mod safety;
mod searching;
mod toasts;
