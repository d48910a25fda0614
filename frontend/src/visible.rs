//! What circles and scripts say, so that it can be seen and cannot drive a terminal.

use std::borrow::Cow;

/// Control characters shown, not obeyed. Newlines and tabs stay; a carriage return before a newline goes.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_plain =
        |character: char| matches!(character, '\n' | '\t') || !(character.is_control() || is_hidden(character));
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    let show = |character: char| match character {
        _ if is_plain(character) => character,
        // The Unicode block of pictures of control characters.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '␡',
        _ => '\u{fffd}',
    };
    Cow::Owned(text.chars().map(show).collect())
}

/// Characters that are no control characters and still change how what is around them is shown: bidirectional
/// overrides and isolates, line and paragraph separators.
fn is_hidden(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn control_characters_are_shown() {
        let cases = [
            ("plain\n\ttext", "plain\n\ttext"),
            ("a\r\nb", "a\nb"),
            ("\x1b[2J", "␛[2J"),
            ("\x07\x08\r\0\x7f", "␇␈␍␀␡"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("\u{202e}evil", "\u{fffd}evil"),
            ("zwj 👩‍💻", "zwj 👩‍💻"),
        ];
        for (text, shown) in cases {
            assert_eq!(visible(text), shown);
        }
    }
}
