//! Doc comments and type names in a readable form. No I/O.

/// Maximum size of a function's documentation, in bytes; the rest is cut off.
const MAX_DOC: usize = 16 << 10;

/// Extracts the text of doc comments, without `///`, `/**`, `*/` and the stars at the start of lines.
pub(super) fn clean<'a>(comments: impl IntoIterator<Item = &'a str>) -> String {
    let mut doc = String::new();
    for line in comments.into_iter().flat_map(lines) {
        doc.push_str(line);
        doc.push('\n');
    }
    let text = doc.trim_matches('\n').trim();
    text[..text.floor_char_boundary(MAX_DOC)].to_owned()
}

/// The lines of one doc comment, without `///`, `/**`, `*/` and the stars at the start of lines.
pub(super) fn lines(comment: &str) -> impl Iterator<Item = &str> {
    let block = comment.strip_prefix("/**");
    let body = block.map_or(comment, |block| block.strip_suffix("*/").unwrap_or(block));
    body.lines().map(move |line| {
        let line = line.trim_end();
        let marker = if block.is_some() { "*" } else { "///" };
        let bare = line.trim_start();
        let text = bare.strip_prefix(marker).map_or(line, |text| text.strip_prefix(' ').unwrap_or(text));
        if block.is_some() && text.len() == line.len() { text.trim_start() } else { text }
    })
}

/// Converts a Rust type of a signature to its name in Rhai, without references and `Result`.
pub(super) fn type_name(written: &str) -> String {
    let written: String = written.chars().filter(|character| !character.is_whitespace()).collect();
    let bare = written.strip_prefix("&mut").or_else(|| written.strip_prefix("&")).unwrap_or(&written);
    let bare = bare.strip_prefix("rhai::").unwrap_or(bare);
    let in_result = bare
        .strip_prefix("Result<")
        .and_then(|inner| inner.strip_suffix(",Box<EvalAltResult>>"))
        .or_else(|| bare.strip_prefix("RhaiResultOf<").and_then(|inner| inner.strip_suffix('>')));
    match in_result.unwrap_or(bare) {
        "" | "()" => "()".into(),
        "INT" => "i64".into(),
        "FLOAT" => "f64".into(),
        "str" | "String" | "ImmutableString" => "string".into(),
        "Dynamic" | "RhaiResult" | "?" | "_" => "any".into(),
        "Array" => "array".into(),
        "Map" => "map".into(),
        "Blob" => "blob".into(),
        "FnPtr" => "Fn".into(),
        "Instant" => "timestamp".into(),
        "ExclusiveRange" | "Range<INT>" | "Range<i64>" => "range".into(),
        "InclusiveRange" | "RangeInclusive<INT>" | "RangeInclusive<i64>" => "range=".into(),
        "BitRange" | "CharsStream" => "range".into(),
        other if other.starts_with("StepRange<") => "range".into(),
        other if other == written => other.into(),
        other => type_name(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_lose_their_markers() {
        let cases: [(&[&str], &str); 6] = [
            (&[], ""),
            (&["/// Adds.\n///\n///   * indented"], "Adds.\n\n  * indented"),
            (&["///bare", "/// second"], "bare\nsecond"),
            (&["/** one line */"], "one line"),
            (&["/**\n * starred\n * lines\n */"], "starred\nlines"),
            (&["/**\n  plain\n*/"], "plain"),
        ];
        for (comments, doc) in cases {
            assert_eq!(clean(comments.iter().copied()), doc, "{comments:?}");
        }
        assert_eq!(clean([format!("/// {}ß", "x".repeat(MAX_DOC - 1)).as_str()]).len(), MAX_DOC - 1);
    }

    #[test]
    fn type_names_match_rhai() {
        let cases = [
            ("&mut Array", "array"),
            ("RhaiResultOf < INT >", "i64"),
            ("Result<rhai::FLOAT, Box<EvalAltResult>>", "f64"),
            ("& str", "string"),
            ("Dynamic", "any"),
            ("()", "()"),
            ("bool", "bool"),
            ("&mut ExclusiveRange", "range"),
            ("RhaiResultOf<StepRange<INT>>", "range"),
        ];
        for (written, name) in cases {
            assert_eq!(type_name(written), name, "{written}");
        }
    }
}
