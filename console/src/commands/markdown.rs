//! Formats the Markdown of documentation: headings, emphasis, code and lists without their marks.

use rhai::Engine;

use crate::highlight;
use frontend::text::{Style, StyledLine};

/// The indentation of documentation, in columns.
const INDENT: &str = "  ";

/// The length of the part of a line in which marks count, in bytes: the end of each mark is searched over all of it.
const MAX_MARKED: usize = 1 << 10;

/// Formats documentation line by line, so that a caller can stop after any line.
pub(super) fn lines<'a>(lexer: &'a Engine, text: &'a str) -> impl Iterator<Item = StyledLine> + 'a {
    let mut is_code = false;
    text.lines().filter_map(move |line| {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            return None;
        }
        let indent = StyledLine::of(Style::Dim, INDENT);
        if is_code {
            let code = highlight::lines(lexer, line);
            return Some(code.iter().fold(indent.with(Style::Plain, INDENT), StyledLine::with_line));
        }
        let hashes = line.len() - line.trim_start_matches('#').len();
        if (1..=6).contains(&hashes)
            && let Some(heading) = line[hashes..].strip_prefix(' ')
        {
            return Some(inline(indent, heading.trim(), Style::Strong));
        }
        let bare = line.trim_start();
        if let Some(item) = bare.strip_prefix("* ").or_else(|| bare.strip_prefix("- ")) {
            let nested = &line[..line.len() - bare.len()];
            return Some(inline(indent.with(Style::Dim, nested).with(Style::Dim, "• "), item, Style::Dim));
        }
        Some(inline(indent, line, Style::Dim))
    })
}

/// Adds a text with its inline marks: `**bold**`, `` `code` `` and `[links](…)`.
fn inline(mut line: StyledLine, text: &str, base: Style) -> StyledLine {
    let (mut rest, unmarked) = text.split_at(text.floor_char_boundary(MAX_MARKED));
    while let Some(at) = rest.find(['*', '`', '[']) {
        let (before, marked) = rest.split_at(at);
        line.push(base, before);
        let found = between(marked, "**", "**").map(|found| (Style::Strong, found));
        let found = found.or_else(|| between(marked, "`", "`").map(|found| (Style::Plain, found)));
        let found = found.or_else(|| {
            let (label, after) = between(marked, "[", "](")?;
            Some((base, (label, after.split_once(')')?.1)))
        });
        if let Some((style, (inner, after))) = found {
            line.push(style, inner);
            rest = after;
        } else {
            let (mark, after) = marked.split_at(1);
            line.push(base, mark);
            rest = after;
        }
    }
    line.push(base, rest);
    line.push(base, unmarked);
    line
}

/// Splits a text that begins with `open` into what comes before `close` and what follows it.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    let (inner, after) = text.strip_prefix(open)?.split_once(close)?;
    (!inner.is_empty()).then_some((inner, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        lines(&Engine::new_raw(), text).map(|line| line.to_string()).collect()
    }

    #[test]
    fn markdown_has_no_marks() {
        let text = "# Example\nAdds **two** `numbers`, see [here](https://x.y).\n\n* one\n  - two\n```rhai\nlet x = 1;\n```\n2 * 3 * `";
        let expected = [
            "  Example",
            "  Adds two numbers, see here.",
            "  ",
            "  • one",
            "    • two",
            "    let x = 1;",
            "  2 * 3 * `",
        ];
        assert_eq!(shown(text), expected);
        assert_eq!(shown("#not a heading\n####### seven"), ["  #not a heading", "  ####### seven"]);
        let line = lines(&Engine::new_raw(), "a **b** `c`").next().expect("a line");
        let styles: Vec<(&str, Style)> = line.spans().iter().map(|span| (span.text.as_str(), span.style)).collect();
        let expected = [("  a ", Style::Dim), ("b", Style::Strong), (" ", Style::Dim), ("c", Style::Plain)];
        assert_eq!(styles, expected);
    }

    #[test]
    fn long_line_is_shown_in_full() {
        let text = "[".repeat(1 << 20);
        assert_eq!(shown(&text), [format!("  {text}")]);
        assert_eq!(shown(&format!("**a**{}", "*".repeat(MAX_MARKED))), [format!("  a{}", "*".repeat(MAX_MARKED))]);
    }

    proptest! {
        #[test]
        fn any_text_is_formatted(text in "([*`#\\[\\]() \n-]|[a-zä]){0,80}") {
            prop_assert!(shown(&text).len() <= text.lines().count());
        }
    }
}
