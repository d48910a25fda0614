//! JSON over several lines. Works on the text, so that every number stays as the circle wrote it.

/// The indent of each level, in columns.
const INDENT: usize = 2;

/// The maximum number of levels to indent. A circle may send JSON of any depth.
const MAX_LEVELS: usize = 64;

/// Formats valid JSON with one item a line.
pub fn pretty_json(json: &str) -> String {
    let mut pretty = String::with_capacity(json.len() * 2);
    let (mut depth, mut rest) = (0_usize, json.trim_start());
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' => string_length(rest),
            next => next.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after.trim_start();
        match next {
            '{' | '[' if rest.starts_with(['}', ']']) => {
                pretty.push(next);
                pretty.push_str(&rest[..1]);
                rest = rest[1..].trim_start();
            }
            '{' | '[' => {
                depth += 1;
                pretty.push(next);
                push_line(&mut pretty, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                push_line(&mut pretty, depth);
                pretty.push(next);
            }
            ',' => {
                pretty.push(next);
                push_line(&mut pretty, depth);
            }
            ':' => pretty.push_str(": "),
            _ => pretty.push_str(token),
        }
    }
    pretty
}

fn push_line(pretty: &mut String, depth: usize) {
    pretty.push('\n');
    pretty.extend(std::iter::repeat_n(' ', depth.min(MAX_LEVELS) * INDENT));
}

/// Returns the length of the string at the start of a text, with its quotes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn json_is_indented_and_unchanged_otherwise() {
        let json =
            r#"{"a":[1, 18446744073709551616,1.10,-0.0],"b{\"":{ },"c":[ ],"d":"x, [\\","e":[[null]],"日本":true}"#;
        let pretty = pretty_json(json);
        let expected = r#"{
  "a": [
    1,
    18446744073709551616,
    1.10,
    -0.0
  ],
  "b{\"": {},
  "c": [],
  "d": "x, [\\",
  "e": [
    [
      null
    ]
  ],
  "日本": true
}"#;
        assert_eq!(pretty, expected);
        let parse = |text: &str| serde_json::from_str::<Value>(text).expect("it is JSON");
        assert_eq!(parse(&pretty), parse(json));
        for scalar in ["null", " 1", "\"\"", "[]", "{ }"] {
            assert_eq!(parse(&pretty_json(scalar)), parse(scalar));
        }
    }

    #[test]
    fn indent_of_deep_json_is_bounded() {
        let depth = 20_000;
        let pretty = pretty_json(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert!(pretty.len() < depth * 2 * (MAX_LEVELS * INDENT + 2), "{} bytes", pretty.len());
    }

    #[test]
    fn invalid_json_ends() {
        for text in ["", "\"", "\"\\", "}]}", "[", "{\"a\""] {
            let _pretty = pretty_json(text);
        }
    }
}
