//! Inputs that other REPLs understand, as commands: `help`, `exit`, `quit`, `?name` and `name?`.

/// Returns the command for an input that is no Rhai script: `?`, `?name`, `name?`, `??name` or `name??`.
pub(crate) fn question(input: &str) -> Option<String> {
    let text = input.trim();
    let name = text.trim_matches('?');
    let marks = text.len() - name.len();
    let is_one_sided = text.starts_with('?') != text.ends_with('?');
    match (name.trim(), marks) {
        ("", 1) => Some(":help".into()),
        (name, 1) if is_one_sided && (is_path(name) || is_dotted(name)) => Some(format!(":doc {name}")),
        (name, 2) if is_one_sided && is_path(name) => Some(format!(":source {name}")),
        _ => None,
    }
}

/// Returns the command, without its colon, for an input that is a single word. The word can also be a variable of the
/// session, which comes first.
pub(crate) fn word(input: &str) -> Option<&'static str> {
    match input.trim() {
        "help" => Some("help"),
        "exit" | "quit" => Some("quit"),
        _ => None,
    }
}

/// Whether a text is the name of a function of scripts, perhaps in a module.
fn is_path(text: &str) -> bool {
    text.split("::").all(is_name)
}

/// Whether a text is the name of a function of a circle, such as `order.place`.
fn is_dotted(text: &str) -> bool {
    text.split('.').all(is_name)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|character: char| character.is_ascii_alphabetic() || character == '_')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_about_a_name_is_a_command() {
        let cases = [
            ("?", Some(":help")),
            ("?push", Some(":doc push")),
            ("push?", Some(":doc push")),
            (" ? g::area ", Some(":doc g::area")),
            ("?order.place", Some(":doc order.place")),
            ("order.place?", Some(":doc order.place")),
            ("order.place??", None),
            ("order..place?", None),
            ("order.1?", None),
            ("??area", Some(":source area")),
            ("area??", Some(":source area")),
            ("a?b", None),
            ("?a?", None),
            ("a ?? b", None),
            ("x?.y", None),
            ("?1", None),
            ("???a", None),
            ("a b?", None),
            ("", None),
        ];
        for (input, expected) in cases {
            assert_eq!(question(input).as_deref(), expected, "{input}");
        }
        assert_eq!(
            [" help ", "quit", "exit", "exit()", "helper"].map(word),
            [Some("help"), Some("quit"), Some("quit"), None, None]
        );
    }
}
