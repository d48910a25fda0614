//! Which log lines are wanted.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use frontend::error::CliError;

/// `CIRCLES_LOG` is error, warn, info, debug or trace.
pub fn level(default: tracing::Level) -> Result<tracing::Level, CliError> {
    match std::env::var("CIRCLES_LOG") {
        Ok(level) => level.parse().map_err(|_| {
            CliError::usage("CIRCLES_LOG cannot be used", "it is no level", "error, warn, info, debug or trace")
        }),
        Err(_) => Ok(default),
    }
}

/// From which parts of the program lines of a level come.
pub fn targets(level: tracing::Level) -> Targets {
    Targets::new()
        .with_default(level)
        // The web server's own words are of its threads, which nobody here knows by that name.
        .with_target("actix_server", level.min(tracing::Level::WARN))
        // Anyone can send it what is no HTTP.
        .with_target("actix_http", LevelFilter::OFF)
}
