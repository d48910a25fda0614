//! `circles roles`: who may do what in the circles of circles.json.

use functions::roles::{AccessControl, Role};
use keys::PublicKey;
use launcher::CircleConfig;
use protocol::methods::Access;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::cli::RolesArgs;
use frontend::{config, error::CliError};
use terminal::output::to_stdout;

/// Names of members that the table shows for a role.
const MAX_SHOWN_MEMBERS: usize = 5;

const TITLES: [&str; 7] = ["ROLE", "CALLERS", "CALL", "PLAY", "USE", "SUBSCRIBE", "PER MINUTE"];

const COLUMN_GAP: &str = "  ";

pub(crate) fn run(args: &RolesArgs) -> Result<(), CliError> {
    let circles = match &args.name {
        Some(name) => vec![config::circle(args.config.path(), name)?],
        None => config::load(args.config.path())?.1,
    };
    let circles: Vec<CircleRoles> = circles.into_iter().map(CircleRoles::new).collect();
    if args.json {
        let circles: Vec<Value> = circles.iter().map(CircleRoles::to_json).collect();
        return Ok(to_stdout(&format!("{}\n", json!({ "circles": circles })))?);
    }
    let texts: Vec<String> = circles.iter().map(CircleRoles::to_text).collect();
    Ok(to_stdout(&texts.join("\n"))?)
}

/// A circle with the rights of its roles.
struct CircleRoles {
    name: String,
    access: Access,
    /// The limit for roles without one of their own.
    per_minute: Option<u64>,
    control: Option<AccessControl<PublicKey>>,
}

impl CircleRoles {
    fn new(circle: CircleConfig) -> Self {
        Self {
            name: circle.name,
            access: circle.access,
            per_minute: circle.limits.per_minute,
            // The file is valid, or it could not be loaded.
            control: circle.roles.and_then(|roles| AccessControl::new(roles).ok()),
        }
    }

    fn to_text(&self) -> String {
        let Some(control) = &self.control else {
            let players = match self.access {
                Access::Open => "anyone may play",
                Access::Authenticated => "anyone who authenticates may play",
                _ => "members may play",
            };
            return format!("{}: no roles; {players}, and use every host module\n", self.name);
        };
        let rows = control.roles().map(|role| self.row(control, role));
        let rows: Vec<_> = std::iter::once(TITLES.map(str::to_owned)).chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or_default();
        let widths: [usize; 7] = std::array::from_fn(width);
        let mut text = format!("{}:\n", self.name);
        for row in &rows {
            let cells =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
            let line = cells.collect::<Vec<_>>().join(COLUMN_GAP);
            text.push_str(&format!("  {}\n", line.trim_end()));
        }
        text
    }

    fn row(&self, control: &AccessControl<PublicKey>, role: &Role) -> [String; 7] {
        let mut callers: Vec<String> = callers(control, role).into_iter().map(str::to_owned).collect();
        let members = members(control, role);
        callers.extend(members.iter().take(MAX_SHOWN_MEMBERS).map(ToString::to_string));
        if members.len() > MAX_SHOWN_MEMBERS {
            callers.push(format!("{} more members", members.len() - MAX_SHOWN_MEMBERS));
        }
        let per_minute = role.per_minute().or(self.per_minute);
        [
            role.name().to_string(),
            or_dash(callers.join(", ")),
            or_dash(role.call_patterns().join(" ")),
            if role.may_play() { "yes" } else { "no" }.to_owned(),
            or_dash(role.used().join(" ")),
            or_dash(role.subscribe_patterns().join(" ")),
            per_minute.map_or("-".to_owned(), |rate| rate.to_string()),
        ]
    }

    fn to_json(&self) -> Value {
        let roles = self.control.as_ref().map(|control| {
            let to_object = |role: &std::sync::Arc<Role>| {
                json!({
                    "name": role.name(),
                    "callers": callers(control, role),
                    "members": members(control, role),
                    "call": role.call_patterns(),
                    "play": role.may_play(),
                    "use": role.used(),
                    "subscribe": role.subscribe_patterns(),
                    "per_minute": role.per_minute().or(self.per_minute),
                })
            };
            control.roles().map(to_object).collect::<Vec<_>>()
        });
        json!({ "name": self.name, "access": self.access, "roles": roles })
    }
}

/// Returns the groups of callers that have the role and are no members.
fn callers(control: &AccessControl<PublicKey>, role: &Role) -> Vec<&'static str> {
    let groups = [("anyone", control.anonymous()), ("authenticated", control.authenticated())];
    let has_role = |of: Option<&std::sync::Arc<Role>>| of.is_some_and(|of| of.name() == role.name());
    groups.into_iter().filter(|(_, of)| has_role(*of)).map(|(group, _)| group).collect()
}

/// Returns the names of the members that have the role.
fn members<'a>(control: &'a AccessControl<PublicKey>, role: &Role) -> Vec<&'a str> {
    control.members().filter(|member| member.role.name() == role.name()).map(|member| &*member.name).collect()
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}
