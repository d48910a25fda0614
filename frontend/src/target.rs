//! Resolves the ways to name a circle: a name in circles.json, a port, `host:port`, a URL.

use std::path::Path;

use launcher::{CircleConfig, CircleState, CircleStatus, control::ControlError};

use crate::{circle_target::how_to_start, config, error::CliError, supervisor, visible::visible};

pub use crate::circle_target::{CircleTarget, TargetKind};

/// The environment variable that stands in for `--circle`.
const CIRCLE_VARIABLE: &str = "CIRCLES_CIRCLE";

/// Returns the circle that `--circle` or the environment names.
pub fn argument_or_env(argument: Option<&str>) -> Option<String> {
    let from_environment = std::env::var(CIRCLE_VARIABLE).ok().filter(|text| !text.is_empty());
    argument.map(str::to_owned).or(from_environment)
}

/// Parses the name or address of a circle. For a circle with `"port": 0` the port in the URL is 0; [`find`] looks it
/// up.
pub fn parse(text: &str, config: Option<&Path>) -> Result<CircleTarget, CliError> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let invalid = |why: &str| {
        let fix = "for example: team, 9001, example.org:9001 or wss://example.org";
        CliError::usage(format!("'{}' is not a circle", visible(text)), why, fix)
    };
    if text.contains("://") {
        return Ok(CircleTarget::from_address(text, text.to_owned()));
    }
    if is_digits(text) {
        let port: u16 = text.parse().map_err(|_| invalid("a port is at most 65535"))?;
        return Ok(CircleTarget::from_address(text, format!("ws://127.0.0.1:{port}")));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && is_digits(port) => {
            Ok(CircleTarget::from_address(text, format!("ws://{text}")))
        }
        None if is_name(text) => {
            config::circle(config, text).map(|circle| CircleTarget::from_config(text, circle.url(), config))
        }
        _ => Err(invalid("expected a name, a port, host:port or a ws:// or wss:// URL")),
    }
}

/// Parses the name or address of a circle, and asks the supervisor for the port of a circle with `"port": 0`.
pub async fn find(text: &str, config: Option<&Path>) -> Result<CircleTarget, CliError> {
    let found = parse(text, config)?;
    let TargetKind::Configured { name, .. } = &found.kind else { return Ok(found) };
    let circle = config::circle(config, name)?;
    if circle.address.port() != 0 {
        return Ok(found);
    }
    let url = resolve_free_port(&circle, config).await?;
    Ok(CircleTarget { url: url.into(), ..found })
}

/// Returns the URL of a circle that uses a free port.
async fn resolve_free_port(circle: &CircleConfig, config: Option<&Path>) -> Result<String, CliError> {
    let cannot = |why: String, fix: String| {
        let name = visible(&circle.name);
        CliError::supervisor(format!("cannot reach circle '{name}'"), format!("it uses a free port, and {why}"), fix)
    };
    let start = || how_to_start(&circle.name, config);
    let files = supervisor::place(config)?;
    let statuses = match supervisor::connect_with_status(&files).await {
        Ok(Some((_, statuses))) => statuses.circles,
        Ok(None) | Err(ControlError::Disconnected) => Vec::new(),
        Err(error) => return Err(supervisor::control_error(error)),
    };
    let status = statuses.into_iter().find(|status| status.name == circle.name);
    match status {
        Some(CircleStatus { state: CircleState::Ready, url, .. }) => Ok(url),
        Some(CircleStatus { state: state @ (CircleState::Starting | CircleState::BackingOff), why, .. }) => {
            Err(cannot(
                match why {
                    Some(why) => format!("has none yet ({state}: {})", visible(&why)),
                    None => format!("has none yet ({state})"),
                },
                "try again in a moment: circles status shows its state".into(),
            ))
        }
        Some(CircleStatus { state: CircleState::Failed, why: Some(why), .. }) => {
            Err(cannot(format!("has failed: {}", visible(&why)), start()))
        }
        Some(CircleStatus { state: CircleState::Draining, .. }) => Err(cannot("is shutting down".into(), start())),
        _ => Err(cannot("is down".into(), start())),
    }
}

/// Whether two URLs are of the same circle. The client's normalised URLs end with a slash.
pub fn is_same_url(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Whether the text is a valid name in circles.json.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.bytes().all(|byte| byte.is_ascii_digit())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CircleTarget, CliError> {
        super::parse(text, Some(Path::new("/nonexistent/circles.json")))
    }

    #[test]
    fn target_is_a_port_a_host_with_a_port_or_a_url() {
        let cases = [
            ("9001", "ws://127.0.0.1:9001"),
            ("example.org:80", "ws://example.org:80"),
            ("[::1]:9001", "ws://[::1]:9001"),
            ("ws://x/", "ws://x/"),
        ];
        for (text, url) in cases {
            let target = parse(text).expect(text);
            assert_eq!((&*target.url, target.label()), (url, text));
        }
        for text in ["team", "", "99999", ":9001", "host:", "a b"] {
            assert_eq!(parse(text).expect_err(text).exit_code(), 2, "{text}");
        }
    }
}
