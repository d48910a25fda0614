//! How far a play is, in words.

use std::time::Duration;

use protocol::methods::Progress;

use crate::visible::visible;

/// Characters of what the script says it is doing.
const MAX_TEXT: usize = 40;

/// One line, whatever the script says.
pub(crate) fn line(progress: &Progress) -> String {
    let seconds = Duration::from_micros(progress.elapsed_us).as_secs_f64();
    let mut line = format!("{seconds:.1}s  {} operations", rounded(progress.operations));
    if let (Some(done), Some(total)) = (progress.done, progress.total) {
        line.push_str(&format!("  {done}/{total}"));
    }
    if let Some(text) = text(progress) {
        line.push_str(&format!("  {text}"));
    }
    line
}

/// What the script says it is doing, as one line that cannot drive a terminal.
pub(crate) fn text(progress: &Progress) -> Option<String> {
    let text: String = progress.text.as_ref()?.replace(['\n', '\t'], " ").chars().take(MAX_TEXT).collect();
    Some(visible(&text).into_owned())
}

/// How much of it is done, from 0 to 1, if the script said so.
pub(crate) fn ratio(progress: &Progress) -> Option<f64> {
    let (done, total) = (progress.done?, progress.total.filter(|total| *total > 0)?);
    #[expect(clippy::cast_precision_loss, reason = "it is drawn with a few characters")]
    Some((done as f64 / total as f64).clamp(0.0, 1.0))
}

/// Three or four digits and a prefix: 756 M.
fn rounded(number: u64) -> String {
    let (mut number, mut prefixes) = (number, ["", " k", " M", " G", " T", " P", " E"].iter());
    let mut prefix = prefixes.next();
    while number >= 10_000 && prefixes.len() > 0 {
        number /= 1000;
        prefix = prefixes.next();
    }
    format!("{number}{}", prefix.copied().unwrap_or_default())
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
        assert_eq!(line(&progress(40, 100)), "3.4s  756 M operations  40/100  a b␛[2J");
    }

    #[test]
    fn whatever_a_script_says_is_a_part_of_the_whole() {
        for (done, total, expected) in
            [(40, 100, Some(0.4)), (-1, 100, Some(0.0)), (i64::MAX, 1, Some(1.0)), (1, 0, None), (1, -5, None)]
        {
            assert_eq!(ratio(&progress(done, total)), expected, "{done}/{total}");
        }
    }
}
