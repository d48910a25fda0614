//! Tests of the app on a screen in memory, with faked circles: nothing is lost by a slip.

mod call_forms;
mod config;
mod data;
mod details;
mod display;
mod functions;
mod history;
mod key_dialogs;
mod mouse;
mod random;
mod rig;
mod safety;
mod searching;
mod settings;
mod toasts;
