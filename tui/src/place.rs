//! Where a circle is, as people say it: a name in circles.json, a port, host:port, a URL.

use crate::{cli::ConfigArgs, config, error::CliError};

/// The environment variable that stands in for `--circle`.
const VARIABLE: &str = "CIRCLES_CIRCLE";

/// The circle that was asked for, as a `ws://` URL; `None` means a throw-away one.
pub(crate) fn url(asked: Option<&str>, config: &ConfigArgs) -> Result<Option<String>, CliError> {
    self::asked(asked).map(|place| parse(&place, config)).transpose()
}

/// The circle that was asked for, as people say it.
pub(crate) fn asked(asked: Option<&str>) -> Option<String> {
    let from_environment = std::env::var(VARIABLE).ok().filter(|place| !place.is_empty());
    asked.map(str::to_owned).or(from_environment)
}

/// What people say, as a URL.
pub(crate) fn parse(place: &str, config: &ConfigArgs) -> Result<String, CliError> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wrong = |why: &str| {
        let fix = "give a name in circles.json, a port (9001), host:port, or a ws:// URL";
        CliError::usage(format!("'{}' says no circle", crate::visible::visible(place)), why, fix)
    };
    if place.contains("://") {
        return Ok(place.to_owned());
    }
    if is_digits(place) {
        let port: u16 = place.parse().map_err(|_| wrong("a port is at most 65535"))?;
        return Ok(format!("ws://127.0.0.1:{port}"));
    }
    match place.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && is_digits(port) => Ok(format!("ws://{place}")),
        None if is_name(place) => config::circle(config, place).map(|circle| circle.url()),
        _ => Err(wrong("it is none of the forms that a circle's place has")),
    }
}

/// Whether it would be a name in circles.json.
pub(crate) fn is_name(place: &str) -> bool {
    !place.is_empty()
        && !place.bytes().all(|byte| byte.is_ascii_digit())
        && place.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(place: &str) -> Result<String, CliError> {
        super::parse(place, &ConfigArgs { config: Some("/nonexistent/circles.json".into()) })
    }

    #[test]
    fn a_place_is_a_port_a_host_with_a_port_or_a_url() {
        let cases = [
            ("9001", "ws://127.0.0.1:9001"),
            ("example.org:80", "ws://example.org:80"),
            ("[::1]:9001", "ws://[::1]:9001"),
            ("ws://x/", "ws://x/"),
        ];
        for (place, url) in cases {
            assert_eq!(parse(place).expect(place), url);
        }
        for place in ["team", "", "99999", ":9001", "host:", "a b"] {
            assert_eq!(parse(place).expect_err(place).exit_code(), 2, "{place}");
        }
    }
}
