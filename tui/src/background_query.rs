//! The question for the terminal's background, and its answer among the keys.
//!
//! A terminal answers on the line of the keyboard, and perhaps late: the answer must neither delay the first frame nor
//! be taken for keys.

use std::{
    env, io,
    io::Write,
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

use super::theme::Background;

/// Asks for the colour of the background (OSC 11).
const QUERY: &str = "\x1b]11;?\x1b\\";

/// The begin of an answer, after the escape character and the bracket.
const ANSWER: &str = "11;rgb";

/// The maximum length of an answer.
const MAX_ANSWER: usize = 48;

/// The longest pause within an answer. A key that may begin an answer waits for it.
pub(crate) const ANSWER_PAUSE: Duration = Duration::from_millis(50);

/// The time after which an answer is not expected any more: the terminal does not know the question.
const ANSWER_WINDOW: Duration = Duration::from_secs(5);

/// The longest wait for an answer when the app ends.
const EXIT_WAIT: Duration = Duration::from_millis(100);

/// Returns whether the terminal may be asked: `screen` would show the answer to the user.
pub(crate) fn is_supported() -> bool {
    let term = env::var("TERM").unwrap_or_default();
    let is_screen = term.starts_with("screen") && env::var_os("TMUX").is_none();
    !(term.is_empty() || term == "dumb" || is_screen)
}

/// Asks the terminal.
pub(crate) fn send() -> io::Result<()> {
    io::stdout().write_all(QUERY.as_bytes()).and_then(|()| io::stdout().flush())
}

/// An answer that may still come when the app ends. The shell would take it for typed text.
#[derive(Debug)]
pub(crate) struct PendingAnswer {
    /// Ends when no answer is to come.
    settled: Receiver<()>,
    asked_at: Instant,
}

impl PendingAnswer {
    pub(crate) fn new(settled: Receiver<()>) -> Self {
        Self { settled, asked_at: Instant::now() }
    }

    /// Waits a moment for the answer, unless the terminal has had enough time for it.
    pub(crate) fn wait(&self) {
        if self.asked_at.elapsed() < ANSWER_WINDOW {
            // The answer of a terminal that is slower than this reaches the shell.
            let _is_settled = self.settled.recv_timeout(EXIT_WAIT);
        }
    }
}

/// What the keyboard line has brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Event(Event),
    Answer(Background),
}

/// Separates the answer from the events of the user.
#[derive(Debug, Default)]
pub(crate) struct AnswerFilter {
    /// Whether an answer is to come.
    is_waiting: bool,
    /// Events that may be the begin of the answer, and its text so far.
    held: Vec<Event>,
    text: String,
}

impl AnswerFilter {
    pub(crate) fn new(is_waiting: bool) -> Self {
        Self { is_waiting, ..Self::default() }
    }

    /// Returns whether an answer is to come.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Returns whether events are held until more comes.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the held events, because nothing has followed them.
    pub(crate) fn release(&mut self) -> Vec<Input> {
        self.text.clear();
        self.held.drain(..).map(Input::Event).collect()
    }

    /// Takes the next event, and returns what is known to be no part of an answer, or the answer.
    pub(crate) fn take(&mut self, event: Event) -> Vec<Input> {
        let Event::Key(key) = event else { return vec![Input::Event(event)] };
        let is_begin = self.is_waiting && key == KeyEvent::new(KeyCode::Char(']'), KeyModifiers::ALT);
        if self.held.is_empty() && !is_begin {
            return vec![Input::Event(event)];
        }
        if is_begin {
            let before = self.release();
            self.held.push(event);
            return before;
        }
        self.held.push(event);
        if is_end(key) {
            let answer = parse_answer(&self.text);
            let events = self.release();
            self.is_waiting = answer.is_none();
            return answer.map_or(events, |background| vec![Input::Answer(background)]);
        }
        match key.code {
            KeyCode::Char(letter) if (key.modifiers - KeyModifiers::SHIFT).is_empty() => self.text.push(letter),
            _ => return self.release(),
        }
        if is_answer_begin(&self.text) { Vec::new() } else { self.release() }
    }
}

/// Returns whether a key is what the end of an answer looks like.
fn is_end(key: KeyEvent) -> bool {
    key == KeyEvent::new(KeyCode::Char('\\'), KeyModifiers::ALT)
        || key == KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL)
}

fn is_answer_begin(text: &str) -> bool {
    let is_rest = |rest: &str| rest.chars().all(|letter| letter.is_ascii_hexdigit() || ":/".contains(letter));
    text.len() <= MAX_ANSWER && (ANSWER.starts_with(text) || text.strip_prefix(ANSWER).is_some_and(is_rest))
}

/// Parses `11;rgb:RRRR/GGGG/BBBB`, with one to four digits a colour, or `11;rgba:…`.
fn parse_answer(text: &str) -> Option<Background> {
    let (_, colours) = text.strip_prefix(ANSWER)?.split_once(':')?;
    let parts: Vec<f64> = colours.split('/').map(parse_part).collect::<Option<_>>()?;
    let [red, green, blue, ..] = *parts.as_slice() else { return None };
    // The brightness that the eye sees.
    let brightness = 0.299 * red + 0.587 * green + 0.114 * blue;
    Some(if brightness > 0.5 { Background::Light } else { Background::Dark })
}

/// Returns a part of a colour, from 0 to 1.
fn parse_part(digits: &str) -> Option<f64> {
    let value = u16::from_str_radix(digits, 16).ok()?;
    let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)?.checked_sub(1)?;
    Some(f64::from(value) / f64::from(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: char, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(code), modifiers))
    }

    /// The events that the terminal library makes of an escape sequence.
    fn events(text: &str) -> Vec<Event> {
        let mut modifiers = KeyModifiers::NONE;
        let mut events = Vec::new();
        for letter in text.chars() {
            match letter {
                '\x1b' => modifiers = KeyModifiers::ALT,
                '\x07' => events.push(key('g', KeyModifiers::CONTROL)),
                _ => events.push(key(letter, std::mem::replace(&mut modifiers, KeyModifiers::NONE))),
            }
        }
        events
    }

    fn filtered(filter: &mut AnswerFilter, text: &str) -> Vec<Input> {
        events(text).into_iter().flat_map(|event| filter.take(event)).collect()
    }

    #[test]
    fn answer_is_taken_from_among_the_keys() {
        for (answer, background) in [
            ("\x1b]11;rgb:ffff/ffff/ffff\x1b\\", Background::Light),
            ("\x1b]11;rgb:0000/0000/0000\x07", Background::Dark),
            ("\x1b]11;rgb:fd/f6/e3\x1b\\", Background::Light),
            ("\x1b]11;rgba:0000/2b2b/3636/ffff\x1b\\", Background::Dark),
        ] {
            let mut filter = AnswerFilter::new(true);
            let mut inputs = filtered(&mut filter, &format!("a]{answer}b"));
            let keys: Vec<Input> = events("a]b").into_iter().map(Input::Event).collect();
            assert_eq!(inputs.remove(2), Input::Answer(background), "{answer}");
            assert_eq!(inputs, keys);
            // Only one answer is to come.
            assert!(!filtered(&mut filter, answer).iter().any(|input| matches!(input, Input::Answer(_))));
        }
    }

    #[test]
    fn keys_that_are_no_answer_are_kept() {
        for text in
            ["\x1b]x", "\x1b]11;rgb:q", "\x1b]11;rgb:1\x1b\\", "\x1b]\x1b]1x", "\x1b]11;rgb:1/2/3\x1bx", "\x1b]\x07"]
        {
            let mut filter = AnswerFilter::new(true);
            let expected: Vec<Input> = events(text).into_iter().map(Input::Event).collect();
            assert_eq!(filtered(&mut filter, text), expected, "{text:?}");
            assert!(!filter.is_holding());
        }
        let endless = format!("\x1b]11;rgb:{}", "f".repeat(100));
        let mut filter = AnswerFilter::new(true);
        assert_eq!(filtered(&mut filter, &endless).len(), events(&endless).len());
        // A key that nothing follows.
        assert_eq!(filtered(&mut filter, "\x1b]1"), []);
        assert!(filter.is_holding());
        assert_eq!(filter.release().len(), 2);
        assert_eq!(filter.take(Event::Resize(1, 1)), [Input::Event(Event::Resize(1, 1))]);
    }

    #[test]
    fn answer_has_any_number_of_digits() {
        for (text, background) in [
            ("11;rgb:f/f/f", Some(Background::Light)),
            ("11;rgb:8000/8000/8000", Some(Background::Light)),
            ("11;rgb:7000/7000/7000", Some(Background::Dark)),
            ("11;rgb:ffff/ffff", None),
            ("11;rgb:/f/f", None),
            ("11;rgb:fffff/f/f", None),
            ("11;rgb", None),
        ] {
            assert_eq!(parse_answer(text), background, "{text}");
        }
    }
}
