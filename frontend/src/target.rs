//! Where a circle is, as people say it: a name in circles.json, a port, host:port, a URL.

use std::path::Path;

use launcher::{
    CircleConfig, CircleState, CircleStatus,
    control::{ControlClient, ControlError, Status},
};
use protocol::methods::NoParams;

use crate::{circle_target::how_to_start, config, error::CliError, supervisor, visible::visible};

pub use crate::circle_target::{CircleTarget, TargetKind};

/// The environment variable that stands in for `--circle`.
const CIRCLE_VARIABLE: &str = "CIRCLES_CIRCLE";

/// The circle that was asked for, as people say it.
pub fn argument_or_env(asked: Option<&str>) -> Option<String> {
    let from_environment = std::env::var(CIRCLE_VARIABLE).ok().filter(|place| !place.is_empty());
    asked.map(str::to_owned).or(from_environment)
}

/// What people say, where that is known without asking anyone: the port of a circle that takes a free one is 0 here.
pub fn parse(text: &str, config: Option<&Path>) -> Result<CircleTarget, CliError> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let invalid = |why: &str| {
        let fix = "give a name in circles.json, a port (9001), host:port, or a ws:// URL";
        CliError::usage(format!("'{}' says no circle", visible(text)), why, fix)
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
        _ => Err(invalid("it is none of the forms that a circle's place has")),
    }
}

/// What people say, and where that is now: a circle that takes a free port is where its supervisor has it.
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

/// Where a circle is that has taken a free port.
async fn resolve_free_port(circle: &CircleConfig, config: Option<&Path>) -> Result<String, CliError> {
    let cannot = |why: String, fix: String| {
        let name = visible(&circle.name);
        CliError::supervisor(format!("cannot reach circle '{name}'"), format!("it takes a free port, and {why}"), fix)
    };
    let start = || how_to_start(&circle.name, config);
    let place = supervisor::place(config)?;
    let asked = async {
        let Some(mut client) = ControlClient::connect(&place).await? else { return Ok(None) };
        client.call::<Status>(&NoParams {}, supervisor::CONTROL_TIMEOUT).await.map(Some)
    };
    let statuses = match asked.await {
        Ok(Some(statuses)) => statuses.circles,
        Ok(None) | Err(ControlError::Disconnected) => Vec::new(),
        Err(error) => return Err(supervisor::control_error(error)),
    };
    let status = statuses.into_iter().find(|status| status.name == circle.name);
    match status {
        Some(CircleStatus { state: CircleState::Ready, url, .. }) => Ok(url),
        Some(CircleStatus { state: state @ (CircleState::Starting | CircleState::BackingOff), .. }) => Err(cannot(
            format!("has none yet ({state})"),
            "try again in a moment: circles status shows how it is".into(),
        )),
        Some(CircleStatus { state: CircleState::Failed, why: Some(why), .. }) => {
            Err(cannot(format!("has failed: {}", visible(&why)), start()))
        }
        Some(CircleStatus { state: CircleState::Draining, .. }) => Err(cannot("is being taken down".into(), start())),
        _ => Err(cannot("is down".into(), start())),
    }
}

/// Whether two URLs are of the same circle; one that a client made normal ends with a slash.
pub fn is_same_url(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Whether it would be a name in circles.json.
pub fn is_name(place: &str) -> bool {
    !place.is_empty()
        && !place.bytes().all(|byte| byte.is_ascii_digit())
        && place.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(place: &str) -> Result<CircleTarget, CliError> {
        super::parse(place, Some(Path::new("/nonexistent/circles.json")))
    }

    #[test]
    fn target_is_a_port_a_host_with_a_port_or_a_url() {
        let cases = [
            ("9001", "ws://127.0.0.1:9001"),
            ("example.org:80", "ws://example.org:80"),
            ("[::1]:9001", "ws://[::1]:9001"),
            ("ws://x/", "ws://x/"),
        ];
        for (place, url) in cases {
            let destination = parse(place).expect(place);
            assert_eq!((&*destination.url, destination.label()), (url, place));
        }
        for place in ["team", "", "99999", ":9001", "host:", "a b"] {
            assert_eq!(parse(place).expect_err(place).exit_code(), 2, "{place}");
        }
    }
}
