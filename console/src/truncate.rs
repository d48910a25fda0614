//! Truncates output that is longer than the screen.

use frontend::text::{Size, Style, StyledLine};

/// The minimum number of rows.
const MIN_ROWS: usize = 6;

/// Returns the lines unchanged if they fit; otherwise the first and the last lines, and between them a note on the
/// number of hidden lines. Truncates lines that would fill half of the area, and notes the number of hidden characters.
pub fn truncate_lines(lines: Vec<StyledLine>, size: Size) -> Vec<StyledLine> {
    let (width, height) = (size.width.max(1), size.height.max(MIN_ROWS));
    let rows = |line: &StyledLine| line.width().div_ceil(width).max(1);
    // Checked first, because it is cheap.
    if lines.len() <= height && lines.iter().map(rows).sum::<usize>() <= height {
        return lines;
    }
    if let [line] = lines.as_slice() {
        return vec![truncate_line(line, width.saturating_mul(height - 1))];
    }
    let longest = width.saturating_mul(height / 2 - 1);
    let total = lines.len();
    let room = height - 1;
    let mut last = Vec::new();
    let mut left = room / 3;
    // The end gets a third of the rows.
    for line in lines.iter().rev() {
        let line = truncate_line(line, longest);
        let Some(rest) = left.checked_sub(rows(&line)) else { break };
        left = rest;
        last.push(line);
    }
    left += room - room / 3;
    let mut shown = Vec::new();
    for line in &lines[..total - last.len()] {
        let line = truncate_line(line, longest);
        let Some(rest) = left.checked_sub(rows(&line)) else { break };
        left = rest;
        shown.push(line);
    }
    let hidden = total - shown.len() - last.len();
    if hidden > 0 {
        let noun = if hidden == 1 { "line" } else { "lines" };
        shown.push(StyledLine::of(
            Style::Dim,
            &format!("… {} {noun} hidden; :last shows all of it", group_digits(hidden)),
        ));
    }
    shown.extend(last.into_iter().rev());
    shown
}

/// Returns a line that fits into `width` columns, and ends in `…` if it is not the whole line.
pub fn fit_line(line: StyledLine, width: usize) -> StyledLine {
    if line.width() <= width { line } else { line.truncated(width.saturating_sub(1)).with(Style::Dim, "…") }
}

fn truncate_line(line: &StyledLine, width: usize) -> StyledLine {
    if line.width() <= width {
        return line.clone();
    }
    let note = |hidden: usize| format!(" … {} more characters; :last shows all of it", group_digits(hidden));
    let characters = |line: &StyledLine| line.spans().iter().map(|piece| piece.text.chars().count()).sum::<usize>();
    let all = characters(line);
    let short = line.truncated(width.saturating_sub(note(all).chars().count()));
    let hidden = all - characters(&short);
    short.with(Style::Dim, &note(hidden))
}

/// Groups the digits of a number: 1,234,567.
pub fn group_digits(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 60, height: 10 };

    fn numbers(count: usize) -> Vec<StyledLine> {
        (1..=count).map(|number| StyledLine::of(Style::Plain, &number.to_string())).collect()
    }

    fn shown(lines: Vec<StyledLine>, size: Size) -> Vec<String> {
        truncate_lines(lines, size).iter().map(StyledLine::to_string).collect()
    }

    #[test]
    fn fitting_lines_are_unchanged() {
        assert_eq!(truncate_lines(numbers(10), SIZE), numbers(10));
        assert_eq!(truncate_lines(Vec::new(), SIZE), []);
        let wide = StyledLine::of(Style::Plain, &"x".repeat(600));
        assert_eq!(truncate_lines(vec![wide.clone()], SIZE), [wide]);
    }

    #[test]
    fn truncated_lines_show_begin_and_end() {
        let expected =
            ["1", "2", "3", "4", "5", "6", "… 991 lines hidden; :last shows all of it", "998", "999", "1000"];
        assert_eq!(shown(numbers(1000), SIZE), expected);
        assert_eq!(shown(numbers(11), SIZE)[6], "… 2 lines hidden; :last shows all of it");
        // A screen without rows counts as a small one.
        assert_eq!(shown(numbers(100_000), Size { width: 0, height: 0 }).len(), MIN_ROWS);
    }

    #[test]
    fn long_line_is_truncated_with_a_count() {
        let wide = StyledLine::of(Style::Plain, &"x".repeat(100_000)).with(Style::Error, &"y".repeat(100_000));
        let lines = shown(vec![wide.clone()], SIZE);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("x … 199,509 more characters; :last shows all of it"), "{}", lines[0]);
        assert!(lines[0].chars().count() <= 540);
        let lines = shown([numbers(2), vec![wide], numbers(2)].concat(), SIZE);
        assert_eq!((lines.len(), lines[1].as_str(), lines[4].as_str()), (5, "2", "2"));
        assert!(lines[2].contains("more characters"), "{}", lines[2]);
    }

    #[test]
    fn rows_are_counted_as_the_terminal_breaks_lines() {
        let wide = |count| vec![StyledLine::of(Style::Plain, &"日".repeat(60)); count];
        assert_eq!(shown(wide(5), SIZE).len(), 5);
        let truncated = truncate_lines(wide(50), SIZE);
        assert!(truncated.iter().map(|line| line.width().div_ceil(60)).sum::<usize>() <= 10, "{truncated:?}");
        assert!(truncated.iter().any(|line| line.to_string().contains("lines hidden")));
    }

    #[test]
    fn truncation_accepts_any_size() {
        let wide = StyledLine::of(Style::Plain, &"x".repeat(1000));
        for width in [0, 1, usize::MAX] {
            for height in [0, 1, usize::MAX] {
                for lines in [Vec::new(), vec![wide.clone()], [numbers(20), vec![wide.clone()]].concat()] {
                    assert_eq!(truncate_lines(lines.clone(), Size { width, height }).is_empty(), lines.is_empty());
                }
            }
        }
        let all = [numbers(20), vec![wide]].concat();
        assert_eq!(truncate_lines(all.clone(), Size { width: usize::MAX, height: usize::MAX }), all);
    }

    #[test]
    fn fitted_line_ends_in_an_ellipsis() {
        let line = || StyledLine::of(Style::Plain, "let ").with(Style::Strong, "日本");
        let fitted = |width| fit_line(line(), width).to_string();
        assert_eq!([0, 1, 7, 8].map(fitted), ["…", "…", "let 日…", "let 日本"]);
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(group_digits(number), text);
        }
    }
}
