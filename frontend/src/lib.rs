//! What every front end of circles shares, without a terminal: which circle is meant ([`target`], [`config`]), how it is
//! reached ([`connect`], [`scratch`], [`supervisor`]), whether it is the one that it was ([`known_circles`]), and what went wrong ([`error`]) as lines of styled text ([`text`],
//! [`report`]).

pub mod circle_target;
pub mod config;
pub mod connect;
pub mod error;
pub mod known_circles;
pub mod log_line;
pub mod log_watch;
pub mod report;
pub mod scratch;
pub mod script;
pub mod signals;
pub mod suggest;
pub mod supervisor;
pub mod target;
pub mod text;
pub mod visible;
