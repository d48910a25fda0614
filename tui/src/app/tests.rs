//! Tests of the app on a screen in memory, with faked circles: nothing is lost by a slip.

mod rig;
mod safety;
