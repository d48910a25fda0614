//! Lays out the answers of several circles side by side.

use frontend::text::{Style, StyledLine};

/// The minimum width of an answer beside another, in columns.
const MIN_COLUMNS: usize = 20;

/// The separator between two answers.
const SEPARATOR: &str = " │ ";

/// Returns the width of each of `count` answers; `None` if they do not fit side by side.
pub fn column_width(count: usize, width: usize) -> Option<usize> {
    let between = SEPARATOR.chars().count().saturating_mul(count.saturating_sub(1));
    let each = width.min(1 << 16).checked_sub(between)?.checked_div(count)?;
    (each >= MIN_COLUMNS).then_some(each)
}

/// Lays out answers with their names above them: side by side if they fit, otherwise one below the other. Wraps lines
/// that are wider than [`column_width`] between words, and truncates longer words.
pub fn lines(answers: &[(String, Vec<StyledLine>)], width: usize) -> Vec<StyledLine> {
    let name = |name: &str| StyledLine::of(Style::Strong, name);
    let Some(columns) = column_width(answers.len(), width) else {
        return answers
            .iter()
            .flat_map(|(label, lines)| [name(label)].into_iter().chain(lines.iter().cloned()))
            .collect();
    };
    let broken = |(_, lines): &(String, Vec<StyledLine>)| {
        lines.iter().flat_map(|line| line.wrapped_with_indent(columns, 0)).collect()
    };
    let texts: Vec<Vec<StyledLine>> = answers.iter().map(broken).collect();
    let rows = texts.iter().map(Vec::len).max().unwrap_or_default();
    let heads = answers.iter().map(|(label, _)| name(label)).collect();
    let row = |row: usize| texts.iter().map(|lines| lines.get(row).cloned().unwrap_or_default()).collect();
    std::iter::once(heads).chain((0..rows).map(row)).map(|cells: Vec<StyledLine>| join_cells(&cells, columns)).collect()
}

fn join_cells(cells: &[StyledLine], columns: usize) -> StyledLine {
    let mut joined = StyledLine::default();
    for (index, cell) in cells.iter().enumerate() {
        let is_last = index + 1 == cells.len();
        let cell =
            if cell.width() > columns { cell.truncated(columns - 1).with(Style::Dim, "…") } else { cell.clone() };
        for piece in cell.spans() {
            joined.push(piece.style, &piece.text);
        }
        if !is_last {
            joined.push(Style::Plain, &" ".repeat(columns.saturating_sub(cell.width())));
            joined.push(Style::Dim, SEPARATOR);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_lines(answers: &[(&str, &[&str])]) -> Vec<(String, Vec<StyledLine>)> {
        let lines = |lines: &[&str]| lines.iter().map(|line| StyledLine::of(Style::Plain, line)).collect();
        answers.iter().map(|(name, answer)| ((*name).to_owned(), lines(answer))).collect()
    }

    fn shown(answers: &[(&str, &[&str])], width: usize) -> Vec<String> {
        lines(&answer_lines(answers), width).iter().map(|line| line.to_string().trim_end().to_owned()).collect()
    }

    #[test]
    fn answers_stand_side_by_side_where_there_is_room() {
        let answers: [(&str, &[&str]); 2] =
            [("team", &["1", "日本"]), ("sandbox", &["a line that is too long for it"])];
        let whole: [(&str, &[&str]); 2] = [("team", &["1"]), ("sandbox", &["0123456789abcdefghijklmnopqrstuvwxyz"])];
        assert_eq!(
            shown(&answers, 43),
            [
                "team                 │ sandbox",
                "1                    │ a line that is too",
                "日本                 │ long for it",
            ]
        );
        assert_eq!(shown(&whole, 43)[1], "1                    │ 0123456789abcdefghi…");
        assert_eq!(shown(&answers, 40), ["team", "1", "日本", "sandbox", "a line that is too long for it"]);
        assert_eq!(shown(&[("one", &["x"])], 80), ["one", "x"]);
        assert!(shown(&[], 80).len() <= 1);
    }

    #[test]
    fn columns_accept_any_width_and_any_number_of_answers() {
        for width in [0, usize::MAX] {
            for count in [0, 1, usize::MAX] {
                assert!(column_width(count, width).is_none_or(|each| (MIN_COLUMNS..=width).contains(&each)));
            }
            let _none = shown(&[], width);
        }
        assert_eq!(shown(&[("a", &["x"]), ("b", &["y"])], 0), ["a", "x", "b", "y"]);
        assert_eq!(shown(&[("a", &["x"]), ("b", &["y"])], usize::MAX).len(), 2);
    }
}
