//! The log level and the log targets.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use frontend::error::CliError;

/// Reads the log level from `CIRCLES_LOG`: error, warn, info, debug or trace.
pub fn level(default: tracing::Level) -> Result<tracing::Level, CliError> {
    match std::env::var("CIRCLES_LOG") {
        Ok(level) => level.parse().map_err(|_| {
            CliError::usage("invalid CIRCLES_LOG", "it is not a log level", "use error, warn, info, debug or trace")
        }),
        Err(_) => Ok(default),
    }
}

/// Returns the log targets for a level.
pub fn targets(level: tracing::Level) -> Targets {
    Targets::new()
        .with_default(level)
        // At lower levels the web server logs its internal threads, which does not help operators.
        .with_target("actix_server", level.min(tracing::Level::WARN))
        // The client of NATS logs each attempt to reconnect. The own log has each change, and what to do.
        .with_target("async_nats", LevelFilter::OFF)
        // Any client could fill the log with invalid HTTP.
        .with_target("actix_http", LevelFilter::OFF)
}
