//! Formats the progress of a play.

use std::time::Duration;

use protocol::methods::Progress;

use frontend::text::{Style, StyledLine};
use frontend::visible::visible;

/// The maximum length of the script's progress text, in characters.
const MAX_TEXT: usize = 40;

/// Returns the script's progress text as one escaped line.
pub fn text(progress: &Progress) -> Option<String> {
    let text: String = progress.text.as_ref()?.replace(['\n', '\t'], " ").chars().take(MAX_TEXT).collect();
    Some(visible(&text).into_owned())
}

/// Returns the completed fraction from 0 to 1, if the script reports it.
pub fn ratio(progress: &Progress) -> Option<f64> {
    let (done, total) = (progress.done?, progress.total.filter(|total| *total > 0)?);
    #[expect(clippy::cast_precision_loss, reason = "it is drawn with a few characters")]
    Some((done as f64 / total as f64).clamp(0.0, 1.0))
}

/// Formats a number with two or three digits and a prefix: 756 M.
fn rounded(number: u64) -> String {
    let (mut whole, mut tenths, mut prefixes) = (number, 0, [" k", " M", " G", " T", " P", " E"].iter());
    let mut prefix = "";
    while whole >= 1000 {
        let Some(next) = prefixes.next() else { break };
        (whole, tenths, prefix) = (whole / 1000, whole % 1000 / 100, next);
    }
    if prefix.is_empty() || whole >= 10 { format!("{whole}{prefix}") } else { format!("{whole}.{tenths}{prefix}") }
}

/// The frames of the spinner.
const SPINNER_FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Returns the frame of the spinner at a time after its start.
pub fn spinner(elapsed: Duration) -> &'static str {
    SPINNER_FRAMES[usize::try_from(elapsed.as_millis() / 100).unwrap_or(0) % SPINNER_FRAMES.len()]
}

/// The width of the progress bar, in columns.
const BAR_WIDTH: u8 = 14;

/// The status of a running play.
pub struct PlayStatus<'a> {
    /// The frame of the spinner ([`spinner`]).
    pub spinner: &'a str,
    /// How long the play has run.
    pub elapsed: Duration,
    /// The newest progress that the play reported.
    pub progress: Option<&'a Progress>,
    /// The number of inputs that wait for the play.
    pub waiting: usize,
    /// Whether the user cancelled the play, and it has not ended yet.
    pub is_cancelling: bool,
}

/// A part of the status line: the gap before it in columns, its text, and its priority.
struct StatusPart {
    gap: usize,
    line: StyledLine,
    priority: u8,
}

impl PlayStatus<'_> {
    /// Formats the status line, such as `⠋ loading ████████░░░░░░ 40%  3.4s  1.2 M operations  Ctrl-C cancels`. Drops
    /// the least important parts that do not fit into `width` columns.
    pub fn line(&self, width: usize) -> StyledLine {
        let mut parts = self.parts();
        let needed = |parts: &[StatusPart]| parts.iter().map(|part| part.gap + part.line.width()).sum::<usize>();
        while needed(&parts) > width && parts.len() > 1 {
            let least = (0..parts.len()).min_by_key(|index| parts[*index].priority).unwrap_or(0);
            parts.remove(least);
        }
        let mut line = StyledLine::default();
        for part in parts {
            line.push(Style::Plain, &" ".repeat(part.gap));
            for piece in part.line.spans() {
                line.push(piece.style, &piece.text);
            }
        }
        line.truncated(width)
    }

    fn parts(&self) -> Vec<StatusPart> {
        let part = |gap, style, text: &str, priority| StatusPart { gap, line: StyledLine::of(style, text), priority };
        let mut parts = vec![part(0, Style::Plain, self.spinner, 8)];
        let text = self.progress.and_then(text).filter(|text| !text.trim().is_empty());
        parts.push(part(1, Style::Plain, text.as_deref().unwrap_or("running"), 4));
        if let Some(ratio) = self.progress.and_then(ratio) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
            let (done, percent) = ((ratio * f64::from(BAR_WIDTH)).round() as u8, (ratio * 100.0).round() as u8);
            let bar = StyledLine::of(Style::Success, &"█".repeat(done.into()));
            let bar = bar.with(Style::Plain, &"░".repeat((BAR_WIDTH - done).into()));
            parts.push(StatusPart { gap: 1, line: bar, priority: 2 });
            parts.push(part(1, Style::Plain, &format!("{percent}%"), 6));
        } else if let Some((done, total)) = self.progress.and_then(|progress| progress.done.zip(progress.total)) {
            parts.push(part(2, Style::Plain, &format!("{done}/{total}"), 2));
        }
        parts.push(part(2, Style::Plain, &format!("{:.1}s", self.elapsed.as_secs_f64()), 7));
        if let Some(progress) = self.progress {
            parts.push(part(2, Style::Plain, &format!("{} operations", rounded(progress.operations)), 1));
        }
        if self.waiting > 0 {
            parts.push(part(2, Style::Plain, &format!("{} waiting", self.waiting), 3));
        }
        let hint = if self.is_cancelling { "cancelling… Ctrl-C again gives up waiting" } else { "Ctrl-C cancels" };
        parts.push(part(2, Style::Dim, hint, 5));
        parts
    }
}

#[cfg(test)]
mod tests {
    use protocol::Id;

    use super::*;

    fn progress(done: i64, total: i64) -> Progress {
        Progress {
            play: Id::number(1),
            elapsed_us: 3_400_000,
            operations: 756_330_067,
            done: Some(done),
            total: Some(total),
            text: Some("a\nb\x1b[2J".into()),
        }
    }

    #[test]
    fn progress_is_one_line_and_cannot_drive_the_terminal() {
        let shown = status(Some(&progress(40, 100))).line(80).to_string();
        assert!(shown.starts_with("⠋ a b␛[2J ██"), "{shown}");
    }

    #[test]
    fn status_line_accepts_any_width() {
        assert_eq!(status(Some(&progress(1, 2))).line(0).to_string(), "");
        assert!(status(None).line(usize::MAX).to_string().ends_with("Ctrl-C cancels"));
    }

    fn status(progress: Option<&Progress>) -> PlayStatus<'_> {
        PlayStatus { spinner: "⠋", elapsed: Duration::from_millis(3400), progress, waiting: 0, is_cancelling: false }
    }

    #[test]
    fn status_line_keeps_the_most_important_parts() {
        let mut progress = progress(40, 100);
        progress.text = Some("loading".into());
        let cases = [
            (200, "⠋ loading ██████░░░░░░░░ 40%  3.4s  756 M operations  Ctrl-C cancels"),
            (68, "⠋ loading ██████░░░░░░░░ 40%  3.4s  756 M operations  Ctrl-C cancels"),
            (67, "⠋ loading ██████░░░░░░░░ 40%  3.4s  Ctrl-C cancels"),
            (50, "⠋ loading ██████░░░░░░░░ 40%  3.4s  Ctrl-C cancels"),
            (49, "⠋ loading 40%  3.4s  Ctrl-C cancels"),
            (34, "⠋ 40%  3.4s  Ctrl-C cancels"),
            (26, "⠋ 40%  3.4s"),
            (10, "⠋  3.4s"),
            (6, "⠋"),
            (0, ""),
        ];
        for (width, expected) in cases {
            assert_eq!(status(Some(&progress)).line(width).to_string(), expected, "{width}");
        }
    }

    #[test]
    fn unknown_progress_is_not_shown() {
        assert_eq!(status(None).line(80).to_string(), "⠋ running  3.4s  Ctrl-C cancels");
        let unknown = Progress { done: None, total: None, text: None, ..progress(0, 0) };
        assert_eq!(status(Some(&unknown)).line(80).to_string(), "⠋ running  3.4s  756 M operations  Ctrl-C cancels");
        let odd = Progress { text: None, ..progress(7, 0) };
        assert_eq!(status(Some(&odd)).line(80).to_string(), "⠋ running  7/0  3.4s  756 M operations  Ctrl-C cancels");
        let cancelling = PlayStatus { waiting: 2, is_cancelling: true, ..status(None) };
        let expected = "⠋ running  3.4s  2 waiting  cancelling… Ctrl-C again gives up waiting";
        assert_eq!(cancelling.line(80).to_string(), expected);
        assert_eq!(cancelling.line(60).to_string(), "⠋ running  3.4s  cancelling… Ctrl-C again gives up waiting");
    }

    #[test]
    fn numbers_are_rounded_down() {
        let cases =
            [(0, "0"), (999, "999"), (1000, "1.0 k"), (1999, "1.9 k"), (1_234_567, "1.2 M"), (999_999, "999 k")];
        for (number, text) in cases {
            assert_eq!(rounded(number), text);
        }
        assert_eq!(rounded(u64::MAX), "18 E");
    }

    #[test]
    fn progress_ratio_is_always_between_0_and_1() {
        for (done, total, expected) in
            [(40, 100, Some(0.4)), (-1, 100, Some(0.0)), (i64::MAX, 1, Some(1.0)), (1, 0, None), (1, -5, None)]
        {
            assert_eq!(ratio(&progress(done, total)), expected, "{done}/{total}");
        }
    }
}
