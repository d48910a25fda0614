//! Targets of vi's motions in a text.

/// A motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Motion {
    Left,
    Right,
    LineStart,
    FirstCharacter,
    LineEnd,
    /// To the next word; `true` for words between spaces.
    NextWord(bool),
    WordEnd(bool),
    PreviousWord(bool),
    LineDown,
    LineUp,
    FirstLine,
    LastLine,
    /// To a character in the line: `f`, `F`, `t` or `T`, and the character.
    Find(char, char),
    MatchingBracket,
}

/// Which characters an operator takes between the cursor and the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MotionKind {
    /// Without the last one.
    Exclusive,
    /// With the last one.
    Inclusive,
    /// Whole lines.
    Lines,
}

impl Motion {
    /// Returns the motion of a key.
    pub(super) fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'h' => Self::Left,
            'l' | ' ' => Self::Right,
            '0' => Self::LineStart,
            '^' | '_' => Self::FirstCharacter,
            '$' => Self::LineEnd,
            'w' | 'W' => Self::NextWord(letter == 'W'),
            'e' | 'E' => Self::WordEnd(letter == 'E'),
            'b' | 'B' => Self::PreviousWord(letter == 'B'),
            'j' => Self::LineDown,
            'k' => Self::LineUp,
            'G' => Self::LastLine,
            '%' => Self::MatchingBracket,
            _ => return None,
        })
    }

    /// Returns the target of a motion from a place; `None` if it leads nowhere.
    pub(super) fn target(
        self,
        text: &[char],
        place: usize,
        count: usize,
        has_count: bool,
    ) -> Option<(usize, MotionKind)> {
        let (start, end) = line(text, place);
        Some(match self {
            Self::Left => (place.saturating_sub(count).max(start), MotionKind::Exclusive),
            Self::Right => (place.saturating_add(count).min(end), MotionKind::Exclusive),
            Self::LineStart => (start, MotionKind::Exclusive),
            Self::FirstCharacter => (first_character(text, start, end), MotionKind::Exclusive),
            Self::LineEnd => (end, MotionKind::Exclusive),
            Self::NextWord(is_big) => (repeated(place, count, |at| next_word(text, at, is_big)), MotionKind::Exclusive),
            Self::WordEnd(is_big) => (repeated(place, count, |at| word_end(text, at, is_big)), MotionKind::Inclusive),
            Self::PreviousWord(is_big) => {
                (repeated(place, count, |at| previous_word(text, at, is_big)), MotionKind::Exclusive)
            }
            Self::LineDown => (repeated(place, count, |at| (line(text, at).1 + 1).min(text.len())), MotionKind::Lines),
            Self::LineUp => (repeated(place, count, |at| line(text, at).0.saturating_sub(1)), MotionKind::Lines),
            Self::FirstLine | Self::LastLine if has_count => (start_of_row(text, count - 1), MotionKind::Lines),
            Self::FirstLine => (0, MotionKind::Lines),
            Self::LastLine => (line(text, text.len()).0, MotionKind::Lines),
            Self::Find(kind, letter) => find(&text[..end], start, place, (kind, letter), count)?,
            Self::MatchingBracket => (matching_bracket(text, place, end)?, MotionKind::Inclusive),
        })
    }
}

/// Applies a step some times, or until it leads nowhere.
fn repeated(place: usize, count: usize, step: impl Fn(usize) -> usize) -> usize {
    let mut place = place;
    for _ in 0..count {
        let next = step(place);
        if next == place {
            break;
        }
        place = next;
    }
    place
}

/// Returns where the line of a place starts and ends.
pub(super) fn line(text: &[char], place: usize) -> (usize, usize) {
    let place = place.min(text.len());
    let start = text[..place].iter().rposition(|letter| *letter == '\n').map_or(0, |at| at + 1);
    let end = text[place..].iter().position(|letter| *letter == '\n').map_or(text.len(), |at| place + at);
    (start, end)
}

fn start_of_row(text: &[char], row: usize) -> usize {
    let starts = text.iter().enumerate().filter(|(_, letter)| **letter == '\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(starts).take(row + 1).last().unwrap_or(0)
}

fn first_character(text: &[char], start: usize, end: usize) -> usize {
    text[start..end].iter().position(|letter| !letter.is_whitespace()).map_or(start, |at| start + at)
}

/// Kind of a character: space, part of a word, other.
pub(super) fn kind(letter: char, is_big: bool) -> u8 {
    match letter {
        _ if letter.is_whitespace() => 0,
        _ if is_big || letter.is_alphanumeric() || letter == '_' => 1,
        _ => 2,
    }
}

fn next_word(text: &[char], place: usize, is_big: bool) -> usize {
    let Some(here) = text.get(place).map(|letter| kind(*letter, is_big)) else { return place };
    let mut at = place;
    while at < text.len() && here != 0 && kind(text[at], is_big) == here {
        at += 1;
    }
    while at < text.len() && kind(text[at], is_big) == 0 {
        at += 1;
    }
    at
}

fn word_end(text: &[char], place: usize, is_big: bool) -> usize {
    let mut at = place + 1;
    while at < text.len() && kind(text[at], is_big) == 0 {
        at += 1;
    }
    if at >= text.len() {
        return text.len().saturating_sub(1).max(place);
    }
    let here = kind(text[at], is_big);
    while at + 1 < text.len() && kind(text[at + 1], is_big) == here {
        at += 1;
    }
    at
}

fn previous_word(text: &[char], place: usize, is_big: bool) -> usize {
    let mut at = place.min(text.len());
    while at > 0 && kind(text[at - 1], is_big) == 0 {
        at -= 1;
    }
    let Some(here) = at.checked_sub(1).map(|before| kind(text[before], is_big)) else { return 0 };
    while at > 0 && kind(text[at - 1], is_big) == here {
        at -= 1;
    }
    at
}

/// Finds a character in the line that starts at `start` and ends with the text.
fn find(
    text: &[char],
    start: usize,
    place: usize,
    (how, letter): (char, char),
    count: usize,
) -> Option<(usize, MotionKind)> {
    let is_forward = how.is_lowercase();
    let is_near = how.eq_ignore_ascii_case(&'t');
    if is_forward {
        // `t` repeated goes on behind the character that it stopped before.
        let from = place + 1 + usize::from(is_near && count == 1 && text.get(place + 1) == Some(&letter));
        let mut places = (from..text.len()).filter(|at| text[*at] == letter);
        let at = places.nth(count - 1)?;
        Some((if is_near { at - 1 } else { at }, MotionKind::Inclusive))
    } else {
        let before = place.min(text.len());
        let before = before - usize::from(is_near && count == 1 && before > start && text[before - 1] == letter);
        let mut places = (start..before).rev().filter(|at| text[*at] == letter);
        let at = places.nth(count - 1)?;
        Some((if is_near { at + 1 } else { at }, MotionKind::Exclusive))
    }
}

/// Returns the bracket that matches the next one in the line. Strings and comments are text like any other.
fn matching_bracket(text: &[char], place: usize, end: usize) -> Option<usize> {
    const PAIRS: [(char, char); 3] = [('(', ')'), ('[', ']'), ('{', '}')];
    let at = (place..end).find(|at| PAIRS.iter().any(|(open, close)| [*open, *close].contains(&text[*at])))?;
    let (open, close) = *PAIRS.iter().find(|(open, close)| [*open, *close].contains(&text[at]))?;
    let mut depth = 0_usize;
    let mut is_match = |at: &usize, deeper: char, less_deep: char| {
        if text[*at] == deeper {
            depth += 1;
        } else if text[*at] == less_deep {
            depth -= 1;
        }
        depth == 0
    };
    if text[at] == open {
        (at..text.len()).find(|at| is_match(at, open, close))
    } else {
        (0..=at).rev().find(|at| is_match(at, close, open))
    }
}
