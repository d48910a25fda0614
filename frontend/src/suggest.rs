//! "Did you mean" suggestions.

/// Returns the known name nearest to a mistyped one, if any is near. Names that begin with the typed text come first.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_prefix = |known: &str| !name.is_empty() && known.starts_with(name);
    let near = |known: &'a str| (!is_prefix(known), strsim::osa_distance(known, name), known);
    let (is_other, distance, known) = known.into_iter().map(near).min()?;
    // Two of three letters would make anything near.
    let max = (name.chars().count() / 2).min(2);
    (!is_other || distance <= max).then_some(known)
}

/// Returns the end of an error message about a mistyped name: `; did you mean NEAREST?`, or nothing if no name is near.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or(String::new(), |near| format!("; did you mean {near}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_nearer_than_a_misspelling() {
        let known = ["key", "edit", "each", "help", "history", "who"];
        let cases = [
            ("e", Some("each")),
            ("ed", Some("edit")),
            ("hist", Some("history")),
            ("hlep", Some("help")),
            ("kye", Some("key")),
            ("xyzzy", None),
            ("kez", Some("key")),
            ("foo", None),
            ("wh", Some("who")),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest("", ["key"]), None);
    }
}
