//! Texts of bounded length for errors.

/// Maximum number of characters of a quoted text.
const MAX_EXCERPT: usize = 40;

/// Returns the text in double quotes, escaped and truncated.
pub(super) fn excerpt(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut characters = text.chars();
    for character in characters.by_ref().take(MAX_EXCERPT) {
        match character {
            '"' => quoted.push_str("\\\""),
            _ if character.is_control() => quoted.extend(character.escape_default()),
            _ => quoted.push(character),
        }
    }
    quoted.push_str(if characters.next().is_some() { "…\"" } else { "\"" });
    quoted
}

/// Truncates a text to a number of characters.
pub(super) fn truncate(text: &str, max_characters: usize) -> String {
    match text.char_indices().nth(max_characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns the known name that `name` probably is a misspelling of.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer names are no misspellings, and comparing them is expensive.
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let distances = known.into_iter().map(|known| (strsim::osa_distance(&known.to_ascii_lowercase(), &lower), known));
    distances.filter(|(distance, known)| *distance <= (known.len() / 3).min(2)).min().map(|(_, known)| known)
}
