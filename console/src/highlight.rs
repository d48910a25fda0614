//! Syntax highlighting with Rhai's lexer.

use std::ops::Range;

use rhai::{Engine, LexError, Position, Token};

use frontend::text::{Style, StyledLine, SyntaxKind};

/// The maximum size of an input to highlight, in bytes. Highlighting runs at every key press.
const MAX_BYTES: usize = 16 << 10;

/// Returns the highlighted spans of an input, in order and without overlaps.
pub fn spans(engine: &Engine, input: &str) -> Vec<(Range<usize>, SyntaxKind)> {
    if input.len() > MAX_BYTES { Vec::new() } else { token_spans(input, &lex(engine, input)) }
}

/// Returns the highlighted spans, including the bracket at a cursor and the matching one. The cursor is in bytes. The
/// bracket after the cursor takes precedence over the one before it.
pub fn spans_at(engine: &Engine, input: &str, cursor: usize) -> Vec<(Range<usize>, SyntaxKind)> {
    if input.len() > MAX_BYTES {
        return Vec::new();
    }
    let tokens = lex(engine, input);
    let mut parts = token_spans(input, &tokens);
    for bracket in brackets_at(&tokens, cursor).into_iter().flatten() {
        // Brackets are in no other span.
        let at = parts.partition_point(|(part, _)| part.start < bracket.start);
        parts.insert(at, (bracket, SyntaxKind::Bracket));
    }
    parts
}

fn token_spans(input: &str, tokens: &[(Token, usize)]) -> Vec<(Range<usize>, SyntaxKind)> {
    let mut parts = Vec::new();
    for (index, (token, start)) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1);
        let end = next.map_or(input.len(), |(_, start)| *start);
        let Some(text) = input.get(*start..end) else { continue };
        let length = token_length(token, text);
        let is_called = matches!(next, Some((Token::LeftParen | Token::Unit, _)));
        if let Some(kind) = syntax_kind(token, is_called) {
            parts.push((*start..*start + length, kind));
        }
        push_comment(&mut parts, *start + length, &text[length..]);
    }
    // A comment before the first token.
    let first = tokens.first().map_or(input.len(), |(_, start)| *start);
    let mut leading = Vec::new();
    push_comment(&mut leading, 0, &input[..first]);
    leading.append(&mut parts);
    leading
}

/// Returns the bracket at the cursor and the matching one.
fn brackets_at(tokens: &[(Token, usize)], cursor: usize) -> Option<[Range<usize>; 2]> {
    let mut pairs = Vec::new();
    let mut open: Vec<(char, Range<usize>)> = Vec::new();
    for (token, start) in tokens {
        let of = |literal: &str| *start..*start + literal.len();
        match token {
            Token::LeftParen | Token::LeftBracket | Token::LeftBrace | Token::MapStart | Token::QuestionBracket => {
                let literal = token.literal_syntax();
                open.push((closing(literal), of(literal)));
            }
            Token::RightParen | Token::RightBracket | Token::RightBrace => {
                let literal = token.literal_syntax();
                match open.pop() {
                    Some((expected, opening)) if literal.starts_with(expected) => pairs.push([opening, of(literal)]),
                    // After a mismatch, the open brackets cannot be matched.
                    _ => open.clear(),
                }
            }
            // One token for two brackets.
            Token::Unit => pairs.push([*start..start + 1, start + 1..start + 2]),
            _ => {}
        }
    }
    let is_in_pair = |is_at: &dyn Fn(&Range<usize>) -> bool| pairs.iter().find(|pair| pair.iter().any(is_at)).cloned();
    is_in_pair(&|bracket| bracket.contains(&cursor)).or_else(|| is_in_pair(&|bracket| bracket.end == cursor))
}

fn closing(opening: &str) -> char {
    match opening.chars().last() {
        Some('(') => ')',
        Some('[') => ']',
        _ => '}',
    }
}

/// Highlights a text as lines.
pub fn lines(engine: &Engine, text: &str) -> Vec<StyledLine> {
    style_lines(text, spans(engine, text))
}

/// Highlights a text as lines, with the brackets at a cursor in bytes.
pub fn lines_at(engine: &Engine, text: &str, cursor: usize) -> Vec<StyledLine> {
    style_lines(text, spans_at(engine, text, cursor))
}

fn style_lines(text: &str, parts: Vec<(Range<usize>, SyntaxKind)>) -> Vec<StyledLine> {
    let mut lines = vec![StyledLine::default()];
    let mut push = |style: Style, text: &str| {
        for (index, part) in text.split('\n').enumerate() {
            if index > 0 {
                lines.push(StyledLine::default());
            }
            if let Some(line) = lines.last_mut() {
                line.push(style, part);
            }
        }
    };
    let mut done = 0;
    for (range, kind) in parts {
        push(Style::Plain, &text[done..range.start]);
        push(Style::Syntax(kind), &text[range.clone()]);
        done = range.end;
    }
    push(Style::Plain, &text[done..]);
    lines
}

fn push_comment(parts: &mut Vec<(Range<usize>, SyntaxKind)>, start: usize, text: &str) {
    let trimmed = text.trim_start();
    if trimmed.starts_with("//") || trimmed.starts_with("/*") {
        let begin = start + text.len() - trimmed.len();
        parts.push((begin..begin + trimmed.trim_end().len(), SyntaxKind::Comment));
    }
}

/// Returns the tokens of an input with their positions in bytes.
pub fn lex(engine: &Engine, input: &str) -> Vec<(Token, usize)> {
    let line_starts: Vec<usize> = std::iter::once(0).chain(input.match_indices('\n').map(|(at, _)| at + 1)).collect();
    // The position of the last token. The search continues from there, so that long lines take linear time. Tokens that
    // go backwards are skipped.
    let (mut line, mut column, mut at) = (0, 0, 0);
    let mut offset = |position: Position| {
        let next_line = position.line()?.checked_sub(1)?;
        let next_column = position.position().unwrap_or(1).saturating_sub(1);
        if next_line > line {
            (line, column, at) = (next_line, 0, *line_starts.get(next_line)?);
        }
        let further = next_column.checked_sub(column).filter(|_| next_line == line)?;
        column = next_column;
        at += input[at..].chars().take(further).map(char::len_utf8).sum::<usize>();
        Some(at)
    };
    let inputs = [input];
    let (stream, control) = engine.lex(&inputs);
    let mut tokens = Vec::new();
    // The number of open braces within each interpolation. At the end of an interpolation the lexer must switch back to
    // text.
    let mut interpolations: Vec<usize> = Vec::new();
    for (token, position) in stream {
        match &token {
            Token::EOF => break,
            Token::InterpolatedString(_) => interpolations.push(0),
            Token::LeftBrace | Token::MapStart => {
                if let Some(open) = interpolations.last_mut() {
                    *open += 1;
                }
            }
            Token::RightBrace => {
                if let Some(open) = interpolations.last_mut() {
                    *open = open.saturating_sub(1);
                    if *open == 0 {
                        interpolations.pop();
                        control.borrow_mut().is_within_text = true;
                    }
                }
            }
            _ => {}
        }
        if let Some(start) = offset(position)
            && tokens.last().is_none_or(|(_, before)| *before < start)
        {
            tokens.push((token, start));
        }
    }
    tokens
}

/// Returns the length of a token, given the text from its start to the next token.
fn token_length(token: &Token, text: &str) -> usize {
    let prefix_length = |is_part: fn(char) -> bool| text.find(|character| !is_part(character)).unwrap_or(text.len());
    match token {
        Token::StringConstant(_) | Token::InterpolatedString(_) | Token::CharConstant(_) | Token::LexError(_) => {
            string_length(text)
        }
        Token::IntegerConstant(_) | Token::FloatConstant(_) => {
            prefix_length(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '.'))
        }
        Token::Identifier(_) | Token::Reserved(_) => {
            prefix_length(|character| character.is_alphanumeric() || character == '_')
        }
        other if other.is_standard_keyword() => prefix_length(char::is_alphanumeric),
        // A doc comment is a token.
        Token::Comment(_) => text.trim_end().len(),
        other if other.is_literal() => other.literal_syntax().len().min(text.len()),
        _ => text.trim_end().len(),
    }
}

/// Returns the length of a string up to its closing quote or the start of an interpolation.
fn string_length(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    let quote = match characters.peek() {
        Some((_, quote @ ('"' | '\'' | '`'))) => {
            let quote = *quote;
            characters.next();
            quote
        }
        // Text after an interpolation, or a raw string, extends to the next token.
        _ => return text.trim_end().len(),
    };
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if quote != '`' => {
                characters.next();
            }
            // An interpolation begins.
            '$' if quote == '`' && matches!(&text[at + 1..], "" | "{") => return at,
            _ if character == quote => return at + character.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn syntax_kind(token: &Token, is_called: bool) -> Option<SyntaxKind> {
    match token {
        Token::StringConstant(_) | Token::InterpolatedString(_) | Token::CharConstant(_) => Some(SyntaxKind::String),
        Token::LexError(error) => Some(match **error {
            LexError::UnterminatedString => SyntaxKind::String,
            _ => SyntaxKind::Error,
        }),
        Token::Comment(_) => Some(SyntaxKind::Comment),
        Token::IntegerConstant(_) | Token::FloatConstant(_) => Some(SyntaxKind::Number),
        Token::Identifier(_) if is_called => Some(SyntaxKind::Function),
        other => other.is_standard_keyword().then_some(SyntaxKind::Keyword),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns each span as `kind:text`.
    fn shown(input: &str) -> Vec<String> {
        let engine = Engine::new_raw();
        spans(&engine, input).into_iter().map(|(range, kind)| format!("{kind:?}:{}", &input[range])).collect()
    }

    #[test]
    fn syntax_kinds_are_distinguished() {
        let cases: [(&str, &[&str]); 11] = [
            ("let x = 42;", &["Keyword:let", "Number:42"]),
            ("foo(1.5) + bar", &["Function:foo", "Number:1.5"]),
            ("\"a\\\"b\" // end", &["String:\"a\\\"b\"", "Comment:// end"]),
            ("// first\nif true { 'c' }", &["Comment:// first", "Keyword:if", "Keyword:true", "String:'c'"]),
            ("a /* in */ + 1", &["Comment:/* in */", "Number:1"]),
            ("`x ${y + 1} z` + w", &["String:`x ", "Number:1", "String: z`"]),
            ("`${#{a: 1}.a}!` + 2", &["String:`", "Number:1", "String:!`", "Number:2"]),
            ("\"ünfinished", &["String:\"ünfinished"]),
            ("日 + 0x1F", &["Number:0x1F"]),
            ("/// doubles\nfn f(x) { x }", &["Comment:/// doubles", "Keyword:fn", "Function:f"]),
            ("1 /** doc */", &["Number:1", "Comment:/** doc */"]),
        ];
        for (input, expected) in cases {
            let shown = shown(input);
            let shown: Vec<&str> = shown.iter().map(String::as_str).filter(|part| !part.starts_with("Error")).collect();
            assert_eq!(shown, expected, "{input}");
        }
    }

    #[test]
    fn token_positions_in_a_long_line_are_exact() {
        let line = "\"日本\" + f(`é${x}`); ".repeat(2_000);
        let input = format!("{line}\n  {line}");
        let tokens = lex(&Engine::new_raw(), &input);
        assert_eq!(tokens.len(), 2 * 2_000 * 10);
        let expected = ["\"日本\"", "+", "f", "(", "`é$", "{", "x", "}", "`", ")", ";"];
        for (token, start) in &tokens {
            assert!(expected.iter().any(|text| input[*start..].starts_with(text)), "{token:?} at {start}");
        }
    }

    /// Marks the brackets at the cursor `|` in a text.
    fn marked(input: &str) -> String {
        let cursor = input.find('|').expect("a cursor");
        let input = input.replacen('|', "", 1);
        let mut parts = spans_at(&Engine::new_raw(), &input, cursor);
        parts.retain(|(_, kind)| *kind == SyntaxKind::Bracket);
        let mut marked = input.clone();
        for (range, _) in parts.into_iter().rev() {
            marked.insert(range.end, '>');
            marked.insert(range.start, '<');
        }
        marked
    }

    #[test]
    fn matching_brackets_at_the_cursor_are_marked() {
        let cases = [
            ("f(1, (2))|", "f<(>1, (2)<)>"),
            ("|(1)", "<(>1<)>"),
            ("(|(1))", "(<(>1<)>)"),
            ("(1|)", "<(>1<)>"),
            ("[1, \"]\", ']' /* ] */]|", "<[>1, \"]\", ']' /* ] */<]>"),
            ("|#{a: [1]}", "<#{>a: [1]<}>"),
            ("#|{a: 1}", "<#{>a: 1<}>"),
            ("#{a: 1}|", "<#{>a: 1<}>"),
            ("f()|", "f<(><)>"),
            ("f|(  )", "f<(>  <)>"),
            ("a?[0]|", "a<?[>0<]>"),
            ("`a ${f|(x)} b`", "`a ${f<(>x<)>} b`"),
            ("`a ${1}| b` + (2)", "`a $<{>1<}> b` + (2)"),
            ("fn f(x) {\n  (日)\n}|", "fn f(x) <{>\n  (日)\n<}>"),
            ("\"(|)\"", "\"()\""),
            ("// (|)", "// ()"),
            ("(1|", "(1"),
            ("(]|", "(]"),
            ("(1]) + (2)|", "(1]) + <(>2<)>"),
            ("a| + (1)", "a + (1)"),
            ("|", ""),
        ];
        for (input, expected) in cases {
            assert_eq!(marked(input), expected, "{input}");
        }
    }

    #[test]
    fn colours_survive_next_to_a_marked_bracket() {
        let input = "f(1) + \"s\"";
        let parts: Vec<String> = spans_at(&Engine::new_raw(), input, 1)
            .into_iter()
            .map(|(range, kind)| format!("{kind:?}:{}", &input[range]))
            .collect();
        assert_eq!(parts, ["Function:f", "Bracket:(", "Number:1", "Bracket:)", "String:\"s\""]);
    }

    #[test]
    fn every_prefix_has_ordered_spans_within_it() {
        let engine = Engine::new_raw();
        let input = "/// doc\n/** more */ fn f(x) { // é\n  `a ${x + `b ${1}`} ü` + \"\\u{1F600}\" + 'c' + #\"raw\"# + 0b1 /* end";
        for end in (0..=input.len()).filter(|end| input.is_char_boundary(*end)) {
            let input = &input[..end];
            let mut last = 0;
            for cursor in 0..=input.len() + 1 {
                for (range, _) in spans_at(&engine, input, cursor) {
                    assert!(
                        last <= range.start && range.start <= range.end && input.get(range.clone()).is_some(),
                        "{input}: {range:?}"
                    );
                    last = range.end;
                }
                last = 0;
            }
        }
    }
}
