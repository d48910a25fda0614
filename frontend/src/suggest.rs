//! "Did you mean".

/// The known name that a mistyped one is nearest to, if it is near at all: one that it is the beginning of, before others.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_begun = |known: &str| !name.is_empty() && known.starts_with(name);
    let near = |known: &'a str| (!is_begun(known), strsim::osa_distance(known, name), known);
    let (is_other, distance, known) = known.into_iter().map(near).min()?;
    (!is_other || distance <= 2).then_some(known)
}

/// What an error adds for a mistyped name: `; did you mean NEAREST?`, or nothing if no known name is near.
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
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest("", ["key"]), None);
    }
}
