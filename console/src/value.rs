//! Formats values as lines, coloured by type.

mod json;
mod node;
mod pretty;
pub(crate) mod quote;
mod stored;
mod table;

use client_ws::PlayResult;

use frontend::text::{Style, StyledLine, SyntaxKind, lines};
pub use json::pretty_json;
pub use node::{Key, Node, Shape};
pub use pretty::shorten;
pub use stored::format_stored;

/// Formats the value of a play; no lines for `()`. Lays out arrays and maps in `width` columns, and quotes strings and
/// characters; keeps other scalars unchanged.
pub fn format_value(result: &PlayResult, width: usize) -> Vec<StyledLine> {
    format_bound(result, width, true)
}

/// Formats the value of a call, which no variable has, as [`format_value`] formats the value of a play.
pub fn format_unbound_value(result: &PlayResult, width: usize) -> Vec<StyledLine> {
    format_bound(result, width, false)
}

/// `is_bound` says whether `ans` has the value.
fn format_bound(result: &PlayResult, width: usize, is_bound: bool) -> Vec<StyledLine> {
    if result.output.is_empty() && result.r#type != "string" {
        return Vec::new();
    }
    match result.r#type.as_str() {
        // If text and JSON do not match, or the value is too large, show the circle's text unchanged.
        "array" | "map" => match Node::of(result) {
            Some(node) => layout(&node, width, is_bound),
            None => lines(Style::Plain, &result.output),
        },
        "i64" | "f64" => lines(Style::Syntax(SyntaxKind::Number), &result.output),
        "bool" => lines(Style::Syntax(SyntaxKind::Keyword), &result.output),
        "string" => quote::lines_of(&result.output),
        "char" => lines(Style::Syntax(SyntaxKind::String), &quote::of_type("char", &result.output)),
        "Fn" => lines(Style::Plain, quote::function(&result.output)),
        _ => lines(Style::Plain, &result.output),
    }
}

/// Lays out an array of maps as a table with all of its rows; `None` for any other value, and if the table has more than
/// 1,000 rows or does not fit into `width` columns.
pub fn table(result: &PlayResult, width: usize) -> Option<Vec<StyledLine>> {
    if result.r#type != "array" {
        return None;
    }
    table::complete_lines(&Node::of(result)?, width)
}

fn layout(node: &Node<'_>, width: usize, is_bound: bool) -> Vec<StyledLine> {
    if let Some(table) = table::lines(node, width, is_bound) {
        return table;
    }
    if node.width <= width { vec![pretty::flat(node)] } else { pretty::lines(node, width) }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Write;

    use serde_json::{Value, value::RawValue};

    use super::*;

    /// Returns a result with a value as text and as JSON.
    pub(crate) fn result(r#type: &str, output: &str, json: &str) -> PlayResult {
        PlayResult {
            output: output.into(),
            r#type: r#type.into(),
            value: RawValue::from_string(json.into()).expect("it is JSON").into(),
            elapsed_us: 1,
            operations: 1,
        }
    }

    /// Returns a result for a value that JSON can represent exactly, with Rhai's text of it.
    pub(crate) fn result_of(value: &Value) -> PlayResult {
        fn write(out: &mut String, value: &Value) {
            match value {
                Value::Null => out.push_str("()"),
                Value::Array(items) => {
                    out.push('[');
                    for (index, item) in items.iter().enumerate() {
                        out.push_str(if index == 0 { "" } else { ", " });
                        write(out, item);
                    }
                    out.push(']');
                }
                Value::Object(items) => {
                    out.push_str("#{");
                    for (index, (key, item)) in items.iter().enumerate() {
                        out.push_str(if index == 0 { "" } else { ", " });
                        write!(out, "{key:?}: ").expect("written");
                        write(out, item);
                    }
                    out.push('}');
                }
                Value::String(text) => write!(out, "{text:?}").expect("written"),
                other => write!(out, "{other}").expect("written"),
            }
        }
        let mut output = String::new();
        write(&mut output, value);
        let r#type = match value {
            Value::Array(_) => "array",
            Value::Object(_) => "map",
            Value::Number(_) => "i64",
            _ => "string",
        };
        result(r#type, &output, &value.to_string())
    }

    fn of_json(json: &str) -> PlayResult {
        result_of(&serde_json::from_str(json).expect("it is JSON"))
    }

    fn shown(result: &PlayResult, width: usize) -> String {
        let lines = format_value(result, width);
        lines.iter().map(|line| line.to_string() + "\n").collect()
    }

    /// Formats a value with the styles of its pieces.
    fn styled(result: &PlayResult, width: usize) -> String {
        let piece = |piece: &frontend::text::TextSpan| format!("{:?}:{}", piece.style, piece.text);
        let line = |line: &StyledLine| line.spans().iter().map(piece).collect::<Vec<_>>().join(" ");
        format_value(result, width).iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn scalars_are_unchanged_and_strings_are_quoted() {
        let cases = [
            (result("()", "", "null"), ""),
            (result("string", "", "\"\""), "\"\"\n"),
            (result("string", "42", "\"42\""), "\"42\"\n"),
            (result("string", "a \"b\"\t\u{1b}", "\"\""), "\"a \\\"b\\\"\\t\\u{1b}\"\n"),
            (result("string", "two\nlines\u{1b}[2J", "\"two\\nlines\\u001b[2J\""), "`two\nlines␛[2J`\n"),
            (result("string", "two\n`lines`", "\"\""), "\"two\\n`lines`\"\n"),
            (result("string", "two\n${lines}", "\"\""), "\"two\\n${lines}\"\n"),
            (result("string", "\ntwo", "\"\""), "\"\\ntwo\"\n"),
            (result("char", "'", "\"'\""), "'\\''\n"),
            (result("Fn", "Fn(anon$0af1395247d74ada)", "\"\""), "<function>\n"),
            (result("Fn", "Fn(sq)", "\"\""), "Fn(sq)\n"),
            (result("i64", "42", "42"), "42\n"),
            (result("f64", "NaN", "null"), "NaN\n"),
            (result("blob", "[0909]", "\"CQk=\""), "[0909]\n"),
            (result("range", "1..4", "\"1..4\""), "1..4\n"),
        ];
        for (result, expected) in cases {
            assert_eq!(shown(&result, 80), expected, "{}", result.output);
        }
    }

    #[test]
    fn string_and_number_have_different_colours() {
        assert_eq!(styled(&result("string", "42", "\"42\""), 80), "Syntax(String):\"42\"");
        assert_eq!(styled(&result("i64", "42", "42"), 80), "Syntax(Number):42");
        assert_eq!(styled(&result("bool", "true", "true"), 80), "Syntax(Keyword):true");
    }

    #[test]
    fn small_value_is_on_one_coloured_line() {
        let result = result("array", r#"[1, c, "s", true, #{"k": NaN}]"#, r#"[1,"c","s",true,{"k":null}]"#);
        insta::assert_snapshot!(styled(&result, 80), @r#"Plain:[ Syntax(Number):1 Plain:,  Syntax(String):'c' Plain:,  Syntax(String):"s" Plain:,  Syntax(Keyword):true Plain:, #{"k":  Syntax(Number):NaN Plain:}]"#);
    }

    #[test]
    fn large_value_is_pretty_printed() {
        let matrix = of_json(&format!("[{0}, {0}, {0}]", "[10, 20, 30]"));
        let numbers =
            of_json(&format!("{{\"all\": {:?}, \"name\": \"tea\", \"none\": []}}", (0..40).collect::<Vec<_>>()));
        let nested = of_json(
            r#"{"a long name": {"inner": {"text": "a text that is rather long, longer than a line"}, "list": [1, [2, 3]]}}"#,
        );
        let lost = result(
            "map",
            r#"#{"blob": [0909090909090909 0909090909090909], "character": ", ", "not a number": NaN, "range": 1..=9}"#,
            r#"{"blob":"CQkJCQkJCQkJCQkJCQkJCQ==","character":", ","not a number":null,"range":"1..=9"}"#,
        );
        let all: Vec<String> = [matrix, numbers, nested, lost].iter().map(|result| shown(result, 40)).collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn array_of_maps_with_the_same_keys_is_a_table() {
        let stock = of_json(
            r#"[{"name": "tea", "price": 2.5, "stock": 120, "tags": ["hot", 1]},
                {"name": "日本茶", "price": 12.25, "stock": null, "tags": []},
                {"name": "a name that is long enough to be broken at this width", "price": 0.5, "stock": 7, "tags": []}]"#,
        );
        let hostile =
            of_json(r#"[{"": "\u001b[2J\n\tx", "a\u202eb│\u0001": "│"}, {"": "", "a\u202eb│\u0001": "👩‍💻 e\u0301"}]"#);
        let all: Vec<String> = [stock, hostile].iter().map(|result| shown(result, 50)).collect();
        insta::assert_snapshot!(all.join("\n"));
        insta::assert_snapshot!(styled(&of_json(r#"[{"a": "x", "b": 1}]"#), 80), @r"
        Strong: a  Dim:│ Strong: b
        Dim:───┼───
        Plain: x  Dim:│ Syntax(Number): 1
        ");
    }

    #[test]
    fn unsuitable_values_are_not_tables() {
        let wide: Vec<String> = (0..30).map(|key| format!("\"key{key}\": \"value {key}\"")).collect();
        let cases = [
            "[{}]".to_owned(),
            r#"[{"a": 1}, {"b": 1}, {"c": 1}]"#.into(),
            r#"[{"a": 1, "b": 2}, {}, {}, {"a": 1}]"#.into(),
            format!("[{}]", (0..300).map(|key| format!("{{\"key{key}\": 1}}")).collect::<Vec<_>>().join(",")),
            r#"[{"a": 1}, 2]"#.into(),
            format!("[{{{}}}]", wide.join(",")),
            format!(r#"[{{"a": {:?}}}]"#, (0..50).collect::<Vec<_>>()),
        ];
        for json in cases {
            assert!(!shown(&of_json(&json), 80).contains('─'), "{json}");
        }
    }

    #[test]
    fn missing_keys_are_blank_cells() {
        let result = of_json(r#"[{"b": 1}, {"a": "x", "b": 22, "c": null}, {"a": "y", "c": 5}]"#);
        insta::assert_snapshot!(shown(&result, 80), @r"
         a │  b │  c
        ───┼────┼────
           │  1 │
         x │ 22 │ ()
         y │    │  5
        ");
    }

    #[test]
    fn complete_table_has_all_rows_or_is_none() {
        let rows = |count: usize| {
            of_json(&format!("[{}]", (0..count).map(|row| format!("{{\"n\":{row}}}")).collect::<Vec<_>>().join(",")))
        };
        let table = |result: &PlayResult, width| table(result, width).map(|lines| lines.len());
        assert_eq!(table(&rows(1_000), 80), Some(1_002));
        assert_eq!(table(&rows(1_001), 80), None);
        assert_eq!([table(&rows(1), 1), table(&of_json("[1]"), 80), table(&of_json("{}"), 80)], [None; 3]);
    }

    #[test]
    fn long_table_counts_its_hidden_rows() {
        let rows: Vec<String> = (0..100_000).map(|row| format!("{{\"n\":{row}}}")).collect();
        let lines = format_value(&of_json(&format!("[{}]", rows.join(","))), 80);
        assert_eq!(lines.len(), 1003);
        assert_eq!(lines[1002].to_string(), "… 99,000 more rows: ans.extract(1000..2000) returns the next ones");
        let lines = format_unbound_value(&of_json(&format!("[{}]", rows.join(","))), 80);
        assert_eq!(lines[1002].to_string(), "… 99,000 more rows: :json FILE writes all of them");
    }

    #[test]
    fn hostile_values_fit_and_are_bounded() {
        let deep = (1..64).fold("[\"日本\"]".to_owned(), |inner, _| format!("[{inner}]"));
        let deep_maps = (1..64).fold("{\"\":[]}".to_owned(), |inner, _| format!("{{\"k\\n\\u202e\":{inner},\"z\":1}}"));
        let nests = format!("[{}]", vec!["[1]"; 100_000].join(","));
        let items = format!("[{}]", vec!["1"; 100_000].join(","));
        let texts = format!("[{}]", vec!["\"日本 \\u001b \\\" ]\""; 20_000].join(","));
        for json in [deep, deep_maps, nests, items, texts] {
            for width in [0, 1, 20, 80, 400, usize::MAX] {
                let lines = format_value(&of_json(&json), width);
                assert!(lines.len() <= 10_002, "{} lines", lines.len());
                let is_clean = |line: &StyledLine| !line.to_string().contains(|character: char| character.is_control());
                assert!(lines.iter().all(is_clean));
            }
        }
        let lines = format_value(&of_json(&format!("[{}]", vec!["\"日本 \\u001b\""; 2_000].join(","))), 40);
        assert!(lines.iter().all(|line| line.width() <= 40));
    }

    #[test]
    fn layout_accepts_any_width() {
        let all = ["[]", "[1, 2]", r#"[{"a": 1}]"#, r#"{"a": [1, [2]]}"#, "[[1], [2]]"];
        for json in all {
            let result = of_json(json);
            let node = Node::of(&result).expect("it is one");
            for width in [0, 1, usize::MAX - 1, usize::MAX] {
                assert!(!format_value(&result, width).is_empty(), "{json}");
                assert!(!pretty::lines(&node, width).is_empty(), "{json}");
                let _table = table::lines(&node, width, true);
            }
        }
        assert!(shown(&of_json(r#"[{"a": 1}]"#), usize::MAX).contains('─'));
        assert_eq!(["", "abc"].map(|text| shorten(text, 0)), ["", "…"]);
        assert_eq!(shorten("abc", usize::MAX), "abc");
    }

    #[test]
    fn oversized_value_is_not_laid_out_in_full() {
        let size = |lines: &[StyledLine]| {
            let pieces = lines.iter().flat_map(StyledLine::spans);
            (lines.len(), pieces.map(|piece| piece.text.len()).sum::<usize>())
        };
        let count = 5_000_000;
        let zeros = result(
            "array",
            &format!("[{}]", vec!["0"; count].join(", ")),
            &format!("[{}]", vec!["0"; count].join(",")),
        );
        let newlines = result("string", &"\n".repeat(30 << 20), "\"\"");
        let numbers = result("i64", &"1".repeat(30 << 20), "1");
        for result in [zeros, newlines, numbers] {
            for width in [1, 80, usize::MAX] {
                let (lines, bytes) = size(&format_value(&result, width));
                assert!(lines <= 100_001 && bytes <= (4 << 20) + 100, "{lines} lines of {bytes} bytes");
            }
        }
    }

    #[test]
    fn mismatched_text_and_json_show_the_text() {
        assert_eq!(shown(&result("array", "[Thing { a: 1 }]", "[\"thing\"]"), 5), "[Thing { a: 1 }]\n");
    }
}
