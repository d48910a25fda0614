//! Escapes text from circles and scripts, so that it cannot control a terminal.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// The maximum number of zero-width characters after a character. A terminal draws all of them in the same cell.
const MAX_MARKS: usize = 16;

/// The maximum number of emoji joined to one emoji. A terminal draws the whole sequence as one emoji.
const MAX_JOINED_EMOJI: usize = 8;

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// The replacement for invisible characters and for control characters without a picture.
const REPLACEMENT: char = '\u{fffd}';

/// Replaces control characters and invisible characters with visible ones. Keeps newlines and tabs; removes a carriage
/// return before a newline, and zero-width characters after the 16th in a row.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_plain = |character: char| match character {
        '\n' | '\t' | ' '..='~' => true,
        _ => !character.is_control() && !is_hidden(character) && character.width() != Some(0),
    };
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut run = CellRun::default();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        if character == '\r' && next == Some('\n') {
            continue;
        }
        shown.extend(run.show(character, next));
    }
    Cow::Owned(shown)
}

/// The characters that a terminal draws in the same cell as the one before them.
#[derive(Default)]
struct CellRun {
    /// The number of zero-width characters.
    marks: usize,
    /// The number of joined emoji.
    joined: usize,
    /// Whether the last character is an emoji.
    is_emoji: bool,
    /// Whether the next emoji is joined to the last one.
    is_joined: bool,
}

impl CellRun {
    fn show(&mut self, character: char, next: Option<char>) -> Option<char> {
        if character == ZERO_WIDTH_JOINER && self.joins(next) {
            self.joined += 1;
            self.is_joined = true;
            return Some(character);
        }
        let shown = match character {
            '\n' | '\t' => character,
            // The Unicode block "Control Pictures".
            '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or(REPLACEMENT),
            '\u{7f}' => '␡',
            _ if character.is_control() || is_hidden(character) => REPLACEMENT,
            _ => character,
        };
        if shown.width() == Some(0) {
            self.marks += 1;
            return match self.marks {
                ..=MAX_MARKS => Some(shown),
                // One replacement stands for the rest.
                _ if self.marks == MAX_MARKS + 1 => Some(REPLACEMENT),
                _ => None,
            };
        }
        let is_emoji = is_emoji(shown);
        // Skin tones and joined emoji continue the sequence of the emoji before them.
        if !(self.is_emoji && (self.is_joined || is_skin_tone(shown))) {
            self.joined = 0;
        }
        (self.marks, self.is_emoji, self.is_joined) = (0, is_emoji, false);
        Some(shown)
    }

    /// Whether a joiner at this place joins two emoji.
    fn joins(&self, next: Option<char>) -> bool {
        self.is_emoji
            && !self.is_joined
            && self.marks <= 1
            && self.joined < MAX_JOINED_EMOJI
            && next.is_some_and(is_emoji)
    }
}

/// Whether a character is invisible or changes how its neighbours are shown: zero-width characters, bidirectional
/// marks, overrides and isolates, line and paragraph separators, annotations, tags. The caller handles joiners between
/// emoji.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Whether a character is in the Unicode blocks of emoji, which contain other symbols as well.
fn is_emoji(character: char) -> bool {
    matches!(character, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

fn is_skin_tone(character: char) -> bool {
    matches!(character, '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;

    #[test]
    fn control_characters_are_shown() {
        let cases = [
            ("plain\n\ttext", "plain\n\ttext"),
            ("a\r\nb", "a\nb"),
            ("a\r\r\nb\r", "a␍\nb␍"),
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

    #[test]
    fn invisible_characters_are_shown() {
        let hidden = [
            0xad..=0xad,
            0x61c..=0x61c,
            0x180e..=0x180e,
            0x200b..=0x200f,
            0x2028..=0x202e,
            0x2060..=0x206f,
            0xfeff..=0xfeff,
            0xfff9..=0xfffb,
            0xe0000..=0xe007f,
        ];
        for character in hidden.into_iter().flatten().filter_map(char::from_u32) {
            assert_eq!(visible(&format!("a{character}b")), "a\u{fffd}b", "{:x}", u32::from(character));
        }
    }

    #[test]
    fn joiners_stay_in_emoji_and_are_shown_elsewhere() {
        for emoji in ["👩‍💻", "👩🏽‍💻", "🏳️‍🌈", "❤️‍🔥", "👨‍👩‍👧‍👦", "👩🏽‍❤️‍💋‍👨🏿", "🧔🏻‍♂️"]
        {
            assert_eq!(visible(&format!("a{emoji}b{emoji}{emoji}")), format!("a{emoji}b{emoji}{emoji}"));
        }
        let cases = [
            ("a\u{200d}b", "a\u{fffd}b"),
            ("👩\u{200d}", "👩\u{fffd}"),
            ("👩\u{200d}b", "👩\u{fffd}b"),
            ("a\u{200d}💻", "a\u{fffd}💻"),
            ("👩\u{200d}\u{200d}💻", "👩\u{fffd}\u{fffd}💻"),
            ("e\u{301}\u{200d}e", "e\u{301}\u{fffd}e"),
        ];
        for (text, shown) in cases {
            assert_eq!(visible(text), shown, "{text:?}");
        }
    }

    #[test]
    fn cell_has_a_bounded_number_of_characters() {
        let marks = |count: usize| "\u{301}".repeat(count);
        assert_eq!(visible(&format!("e{}x", marks(16))), format!("e{}x", marks(16)));
        assert_eq!(visible(&format!("e{}x", marks(17))), format!("e{}\u{fffd}x", marks(16)));
        assert_eq!(
            visible(&format!("e{}x{}", marks(3_000_000), marks(2))),
            format!("e{}\u{fffd}x{}", marks(16), marks(2))
        );
        let texts = [
            format!("e{}", "\u{301}\u{200d}\u{fe0f}".repeat(100_000)),
            vec!["👩"; 100_000].join("\u{200d}"),
            vec!["👩\u{fe0f}🏽"; 100_000].join("\u{200d}"),
            vec!["🏽"; 100_000].join("\u{200d}"),
            vec!["👩\u{fe0f}"; 100_000].join("\u{200d}\u{200d}"),
            "\u{e0067}".repeat(100_000),
            "\u{fe0f}".repeat(100_000),
            // Conjoining vowels of a Hangul syllable have no width.
            format!("\u{1100}{}", "\u{1161}".repeat(100_000)),
        ];
        for text in texts {
            let shown = visible(&text);
            let longest = shown.graphemes(true).map(|cell| cell.chars().count()).max();
            assert!(longest.is_some_and(|longest| longest <= 64), "{longest:?} in {:?}", &text[..40]);
        }
    }

    #[test]
    fn visible_text_is_unchanged() {
        for character in '\0'..=char::MAX {
            let text = format!("a{character}b{character}{character}👩\u{200d}{character}");
            let shown = visible(&text);
            assert_eq!(visible(&shown), shown, "{text:?}");
            assert!(!shown.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t')));
        }
    }
}
