//! `:who`: the circle, and the caller as the circle identifies it.

use client_ws::Description;
use frontend::text::{Style, StyledLine};

use crate::value::shorten;

/// The maximum width of a list of rights, in columns.
const MAX_WIDTH: usize = 400;

/// Returns the lines about a circle and the caller.
pub(super) fn lines(circle: &Description, url: &str) -> Vec<StyledLine> {
    let you = &circle.you;
    let mut lines = vec![
        format!("circle   {} at {url}", circle.name),
        format!("access   {}", circle.access),
        format!("you are  {}", you.public_key.as_deref().unwrap_or("anonymous (no key)")),
    ];
    lines.extend(you.name.as_ref().map(|name| format!("name     {name}")));
    lines.extend(you.role.as_ref().map(|role| format!("role     {role}")));
    lines.extend(rights(circle).map(|rights| format!("may      {rights}")));
    lines.iter().map(|line| StyledLine::of(Style::Plain, line)).collect()
}

/// What the caller may do; `None` if the circle does not say so.
fn rights(circle: &Description) -> Option<String> {
    let mut rights = Vec::new();
    if let Some(may) = &circle.you.may {
        if may.play {
            rights.push("play scripts".to_owned());
        }
        match may.r#use.as_slice() {
            [] => {}
            [all] if all == "*" => rights.push("use all host modules".into()),
            modules => rights.push(format!("use {}", shorten(&modules.join(", "), MAX_WIDTH))),
        }
        match may.subscribe.as_slice() {
            [] => {}
            [all] if all == "*" => rights.push("subscribe to all keys and topics".into()),
            patterns => rights.push(format!("subscribe to {}", shorten(&patterns.join(", "), MAX_WIDTH))),
        }
    }
    match circle.functions.as_ref().map(|functions| functions.count) {
        None | Some(0) => {}
        Some(1) => rights.push("call 1 function".into()),
        Some(count) => rights.push(format!("call {count} functions")),
    }
    match (rights.is_empty(), &circle.you.may) {
        (true, None) => None,
        (true, Some(_)) => Some("neither play scripts nor call functions".into()),
        (false, _) => Some(rights.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use client_ws::{FunctionsInfo, Rights};

    use super::*;
    use crate::commands::queries::tests::description;

    fn shown(circle: &Description) -> String {
        let lines = lines(circle, "ws://127.0.0.1:9003");
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn caller_has_name_role_and_rights() {
        let mut circle = description();
        let expected = "circle   shop at ws://127.0.0.1:9003\naccess   members\nyou are  anonymous (no key)";
        assert_eq!(shown(&circle), expected);
        circle.you.public_key = Some("02ab".into());
        circle.you.name = Some("alice\u{1b}[2J".into());
        circle.you.role = Some("clerk".into());
        circle.you.may =
            Some(Rights { play: true, r#use: vec!["stock::count".into(), "mail".into()], subscribe: Vec::new() });
        circle.functions = Some(FunctionsInfo { version: "1".into(), count: 3 });
        let expected = "circle   shop at ws://127.0.0.1:9003\naccess   members\nyou are  02ab\nname     alice␛[2J\n\
                        role     clerk\nmay      play scripts; use stock::count, mail; call 3 functions";
        assert_eq!(shown(&circle), expected);
        circle.you.may = Some(Rights { play: false, r#use: vec![], subscribe: Vec::new() });
        assert!(shown(&circle).ends_with("\nmay      call 3 functions"));
        circle.functions = None;
        assert!(shown(&circle).ends_with("\nmay      neither play scripts nor call functions"));
        circle.you.may = Some(Rights { play: true, r#use: vec!["*".into()], subscribe: Vec::new() });
        assert!(shown(&circle).ends_with("\nmay      play scripts; use all host modules"));
        let subscribe = vec!["keys:orders/".into(), "topic:orders".into()];
        circle.you.may = Some(Rights { play: false, r#use: vec!["store::get:orders/".into()], subscribe });
        let expected = "\nmay      use store::get:orders/; subscribe to keys:orders/, topic:orders";
        assert!(shown(&circle).ends_with(expected), "{}", shown(&circle));
        circle.you.may = Some(Rights { play: false, r#use: vec![], subscribe: vec!["*".into()] });
        assert!(shown(&circle).ends_with("\nmay      subscribe to all keys and topics"));
    }
}
