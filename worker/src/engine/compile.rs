//! Compilation of scripts.

use rhai::{AST, Engine, ParseError, ParseErrorType};

use super::scanner::{Scanner, Token};

/// Compiles a script. A doc comment that documents no function counts as a plain comment, although Rhai rejects it.
pub(crate) fn compile(engine: &Engine, script: &str) -> Result<AST, ParseError> {
    match engine.compile(script) {
        Err(error) if *error.err_type() == ParseErrorType::WrongDocComment => {
            engine.compile(without_stray_docs(script))
        }
        compiled => compiled,
    }
}

/// Whether a comment is a doc comment.
pub(crate) fn is_doc(comment: &str) -> bool {
    let is_marked = |marker: &str, no_more: &str| comment.starts_with(marker) && !comment.starts_with(no_more);
    is_marked("///", "////") || is_marked("/**", "/***")
}

/// Replaces doc comments that document no function with plain comments. Rhai rejects them if it collects documentation.
/// All positions in the script stay the same.
fn without_stray_docs(script: &str) -> String {
    let mut scanner = Scanner::new(script);
    let mut stray: Vec<usize> = Vec::new();
    let mut pending: Vec<usize> = Vec::new();
    loop {
        let is_at_top = scanner.is_at_top();
        let Some((start, token)) = scanner.next() else { break };
        match token {
            Token::Comment { .. } if is_at_top => pending.push(start),
            Token::Comment { .. } => stray.push(start),
            Token::Word("fn" | "private") => pending.clear(),
            _ => stray.append(&mut pending),
        }
    }
    stray.append(&mut pending);
    let mut bytes = script.as_bytes().to_vec();
    for start in stray {
        let comment = &script[start..];
        if comment.starts_with("/**/") {
            bytes[start..start + 4].fill(b' ');
        } else if is_doc(comment) {
            bytes[start + 2] = b' ';
        }
    }
    // Only ASCII characters were replaced, with ASCII characters.
    String::from_utf8(bytes).unwrap_or_else(|_| script.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doc_comments_stay_before_functions() {
        let cases = [
            ("/// a\nlet x = 1;", "// a\nlet x = 1;"),
            ("/// a\nfn f() {}", "/// a\nfn f() {}"),
            ("/** a */ private fn f() {}", "/** a */ private fn f() {}"),
            ("/// a\nlet x;\n/// b\nfn f() { /// c\n 1 }", "// a\nlet x;\n/// b\nfn f() { // c\n 1 }"),
            ("/**/ 1", "     1"),
            ("1 /** é */", "1 /* é */"),
            ("\"/// a\"", "\"/// a\""),
            ("//// a\n1", "//// a\n1"),
        ];
        for (script, expected) in cases {
            let plain = without_stray_docs(script);
            assert_eq!(plain.len(), script.len());
            assert_eq!(
                plain.replace("//  a", "// a").replace("//  c", "// c").replace("/*  é", "/* é"),
                expected,
                "{script}"
            );
        }
    }

    proptest! {
        #[test]
        fn stray_doc_removal_keeps_length(text in "([a-z.:\"'`${}/*#?\\\\\n\u{e9} 0-9()]|import \"|//|/\\*|::){0,60}") {
            prop_assert_eq!(without_stray_docs(&text).len(), text.len());
        }
    }
}
