//! Where a circle is, as people say it: a name in circles.json, a port, host:port, a URL.

use std::{fmt, path::Path};

use launcher::{
    Circle, CircleStatus, State,
    control::{Client, ControlError, Status},
};
use protocol::methods::NoParams;

use crate::{config, error::CliError, supervisor, visible::visible};

/// The environment variable that stands in for `--circle`.
const VARIABLE: &str = "CIRCLES_CIRCLE";

/// A circle, as it was said, and where it is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// How the user named it.
    pub said: Said,
    /// The `ws://` or `wss://` URL to connect to.
    pub url: Box<str>,
}

/// What was said for a circle, which decides what can be done about one that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Its name in circles.json, and the `--config` that was given.
    Name {
        /// The name.
        name: Box<str>,
        /// The file that `--config` named; `None` for the default files.
        config: Option<Box<Path>>,
    },
    /// A port, host:port or a URL.
    Address(Box<str>),
    /// Nothing.
    Throwaway,
}

impl Destination {
    /// A circle of circles.json; `config` is the file that `--config` named.
    pub fn named(name: &str, url: String, config: Option<&Path>) -> Self {
        Self { said: Said::Name { name: name.into(), config: config.map(Into::into) }, url: url.into() }
    }

    /// A circle that was named by its address, in whatever form.
    pub fn address(said: &str, url: String) -> Self {
        Self { said: Said::Address(said.into()), url: url.into() }
    }

    /// A scratch circle, which has no name and ends with this process.
    pub fn throwaway(url: String) -> Self {
        Self { said: Said::Throwaway, url: url.into() }
    }

    /// What tells it from others.
    pub fn label(&self) -> &str {
        match &self.said {
            Said::Name { name, .. } => name,
            Said::Address(said) => said,
            Said::Throwaway => crate::scratch::NAME,
        }
    }

    /// How it comes up.
    pub fn how_to_start(&self) -> String {
        match &self.said {
            Said::Name { name, config } => how_to_start(name, config.as_deref()),
            Said::Address(_) => {
                let port = self.url.trim_end_matches('/').rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
                format!("check the address, or start it there: circles serve --port {}", port.unwrap_or("PORT"))
            }
            Said::Throwaway => String::new(),
        }
    }
}

/// As a sentence names it.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = visible(self.url.trim_end_matches('/'));
        match &self.said {
            Said::Name { name, .. } => write!(f, "circle '{}' at {url}", visible(name)),
            Said::Address(_) => write!(f, "the circle at {url}"),
            Said::Throwaway => f.write_str("the throw-away circle"),
        }
    }
}

fn how_to_start(name: &str, config: Option<&Path>) -> String {
    let config = config.map_or(String::new(), |path| {
        let path = path.to_string_lossy();
        let quoted = shlex::try_quote(&path).unwrap_or_else(|_| path.clone());
        format!(" --config {}", visible(&quoted))
    });
    format!("start it: circles up {name}{config}")
}

/// The circle that was asked for, as people say it.
pub fn asked(asked: Option<&str>) -> Option<String> {
    let from_environment = std::env::var(VARIABLE).ok().filter(|place| !place.is_empty());
    asked.map(str::to_owned).or(from_environment)
}

/// What people say, where that is known without asking anyone: the port of a circle that takes a free one is 0 here.
pub fn parse(said: &str, config: Option<&Path>) -> Result<Destination, CliError> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wrong = |why: &str| {
        let fix = "give a name in circles.json, a port (9001), host:port, or a ws:// URL";
        CliError::usage(format!("'{}' says no circle", visible(said)), why, fix)
    };
    if said.contains("://") {
        return Ok(Destination::address(said, said.to_owned()));
    }
    if is_digits(said) {
        let port: u16 = said.parse().map_err(|_| wrong("a port is at most 65535"))?;
        return Ok(Destination::address(said, format!("ws://127.0.0.1:{port}")));
    }
    match said.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && is_digits(port) => {
            Ok(Destination::address(said, format!("ws://{said}")))
        }
        None if is_name(said) => {
            config::circle(config, said).map(|circle| Destination::named(said, circle.url(), config))
        }
        _ => Err(wrong("it is none of the forms that a circle's place has")),
    }
}

/// What people say, and where that is now: a circle that takes a free port is where its supervisor has it.
pub async fn find(said: &str, config: Option<&Path>) -> Result<Destination, CliError> {
    let found = parse(said, config)?;
    let Said::Name { name, .. } = &found.said else { return Ok(found) };
    let circle = config::circle(config, name)?;
    if circle.address.port() != 0 {
        return Ok(found);
    }
    let url = free_port(&circle, config).await?;
    Ok(Destination { url: url.into(), ..found })
}

/// Where a circle is that has taken a free port.
async fn free_port(circle: &Circle, config: Option<&Path>) -> Result<String, CliError> {
    let cannot = |why: String, fix: String| {
        let name = visible(&circle.name);
        CliError::supervisor(format!("cannot reach circle '{name}'"), format!("it takes a free port, and {why}"), fix)
    };
    let start = || how_to_start(&circle.name, config);
    let place = supervisor::place(config)?;
    let asked = async {
        let Some(mut client) = Client::connect(&place).await? else { return Ok(None) };
        client.call::<Status>(&NoParams {}, supervisor::PATIENCE).await.map(Some)
    };
    let statuses = match asked.await {
        Ok(Some(statuses)) => statuses.circles,
        Ok(None) | Err(ControlError::Lost) => Vec::new(),
        Err(error) => return Err(supervisor::failed(error)),
    };
    let status = statuses.into_iter().find(|status| status.name == circle.name);
    match status {
        Some(CircleStatus { state: State::Ready, url, .. }) => Ok(url),
        Some(CircleStatus { state: state @ (State::Starting | State::BackingOff), .. }) => Err(cannot(
            format!("has none yet ({state})"),
            "try again in a moment: circles status shows how it is".into(),
        )),
        Some(CircleStatus { state: State::Failed, why: Some(why), .. }) => {
            Err(cannot(format!("has failed: {}", visible(&why)), start()))
        }
        Some(CircleStatus { state: State::Draining, .. }) => Err(cannot("is being taken down".into(), start())),
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

    fn parse(place: &str) -> Result<Destination, CliError> {
        super::parse(place, Some(Path::new("/nonexistent/circles.json")))
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
            let destination = parse(place).expect(place);
            assert_eq!((&*destination.url, destination.label()), (url, place));
        }
        for place in ["team", "", "99999", ":9001", "host:", "a b"] {
            assert_eq!(parse(place).expect_err(place).exit_code(), 2, "{place}");
        }
    }

    #[test]
    fn how_a_circle_comes_up_has_the_configuration_that_was_named() {
        let start = |config: Option<&str>| {
            Destination::named("team", "ws://127.0.0.1:9002".into(), config.map(Path::new)).how_to_start()
        };
        assert_eq!(start(None), "start it: circles up team");
        assert_eq!(start(Some("a/b.json")), "start it: circles up team --config a/b.json");
        assert_eq!(start(Some("my circles.json")), "start it: circles up team --config 'my circles.json'");
    }
}
