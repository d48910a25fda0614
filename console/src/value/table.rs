//! Lays out an array of maps with the same keys as a table.

use comfy_table::{Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};

use super::{
    node::{Node, Shape},
    pretty::{self, shorten},
};
use crate::{LAST_VALUE, truncate::group_digits};
use frontend::{
    text::{Style, StyledLine, SyntaxKind, display_width},
    visible::visible,
};

/// The maximum number of rows.
const MAX_ROWS: usize = 1_000;

/// The maximum width of a nested value in a cell, in columns. Wider values are better pretty-printed.
const MAX_NESTED: usize = 40;

/// The maximum width of a text in a cell, in columns.
const MAX_CELL: usize = 200;

/// The minimum width of a table column with enough text, in columns.
const MIN_COLUMN: usize = 6;

/// The gap between the texts of two table columns, in columns.
const COLUMN_GAP: usize = 3;

/// The separator between two cells in the output of the table library. Displayed text never contains it, so the
/// separators can be found again.
const BORDER: char = '\u{1}';

/// The cells of a row, in the order of the keys.
type TableRow<'n, 'a> = Vec<&'n Node<'a>>;

/// Lays out a value as a table; `None` if it is not an array of maps with the same keys, or does not fit into `width`.
pub(super) fn lines(node: &Node<'_>, width: usize) -> Option<Vec<StyledLine>> {
    let (keys, rows) = rows(node)?;
    let shown = &rows[..rows.len().min(MAX_ROWS)];
    let texts: Vec<Vec<String>> = shown.iter().map(|row| row.iter().map(|cell| cell_text(cell)).collect()).collect();
    let heads: Vec<String> = keys.iter().map(|key| header(key)).collect();
    if !has_room(&heads, &texts, width) {
        return None;
    }
    let is_number = |column: usize| shown.iter().all(|row| matches!(row[column].shape, Shape::Number(_) | Shape::Unit));
    let is_number: Vec<bool> = (0..keys.len()).map(is_number).collect();

    let mut table = Table::new();
    table.load_style(
        TableStyle::new()
            .header_lines(ContentLineStyle::none().junction(BORDER))
            .header_separator(LineStyle::none().fill('─').junction('┼'))
            .content_lines(ContentLineStyle::none().junction(BORDER)),
    );
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(heads);
    for row in texts {
        table.add_row(row.into_iter().map(Cell::new_owned));
    }
    for (column, _) in table.column_iter_mut().zip(&is_number).filter(|(_, is_number)| **is_number) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut lines: Vec<StyledLine> = style_lines(table.lines(), &is_number).collect();
    if let Some(more) = rows.len().checked_sub(MAX_ROWS).filter(|more| *more > 0) {
        let more = group_digits(more);
        let note =
            format!("… {more} more rows: {LAST_VALUE}.extract({MAX_ROWS}..{}) returns the next ones", 2 * MAX_ROWS);
        lines.push(StyledLine::of(Style::Dim, &note));
    }
    Some(lines)
}

fn rows<'n, 'a>(node: &'n Node<'a>) -> Option<(Vec<&'n str>, Vec<TableRow<'n, 'a>>)> {
    let Shape::Array(items) = &node.shape else { return None };
    let map = |item: &'n Node<'a>| match &item.shape {
        Shape::Map(map) => Some(map),
        _ => None,
    };
    let keys: Vec<&str> = map(items.first()?)?.iter().map(|(key, _)| key.name.as_ref()).collect();
    if keys.is_empty() {
        return None;
    }
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let map = map(item)?;
        // Rhai writes the keys of a map in order.
        if !map.iter().map(|(key, _)| key.name.as_ref()).eq(keys.iter().copied()) {
            return None;
        }
        if map.iter().any(|(_, cell)| cell.has_parts() && cell.width > MAX_NESTED) {
            return None;
        }
        rows.push(map.iter().map(|(_, cell)| cell).collect());
    }
    Some((keys, rows))
}

/// Whether each table column gets its minimum width.
fn has_room(heads: &[String], texts: &[Vec<String>], width: usize) -> bool {
    let needed = |column: usize| {
        let cells = texts.iter().map(|row| &row[column]);
        cells.chain([&heads[column]]).map(|text| display_width(text).min(MIN_COLUMN)).max().unwrap_or(0)
    };
    (0..heads.len()).map(|column| needed(column) + COLUMN_GAP).sum::<usize>() <= width.saturating_add(1)
}

/// Returns the text of a cell on one line, strings without quotes.
fn cell_text(cell: &Node<'_>) -> String {
    match &cell.shape {
        Shape::String(text) => to_one_line(text, MAX_CELL),
        _ if cell.has_parts() => to_one_line(&pretty::flat(cell).to_string(), MAX_CELL),
        _ => to_one_line(&cell.text, MAX_CELL),
    }
}

/// Converts a text to one line of at most `width` columns, with visible newlines.
fn to_one_line(text: &str, width: usize) -> String {
    // Enough text for the width.
    let begin = &text[..text.floor_char_boundary(width.saturating_mul(8))];
    let mut shown = shorten(&visible(begin).replace('\n', "␊").replace('\t', "␉"), width);
    // Zero-width characters can make the text longer than its width.
    if begin.len() < text.len() && !shown.ends_with('…') {
        shown.push('…');
    }
    shown
}

fn header(key: &str) -> String {
    if key.is_empty() { "\"\"".into() } else { to_one_line(key, MAX_NESTED) }
}

fn style_lines(lines: impl Iterator<Item = String>, is_number: &[bool]) -> impl Iterator<Item = StyledLine> {
    let mut is_head = true;
    lines.map(move |text| {
        let text = text.trim_end();
        if is_head && text.starts_with('─') {
            is_head = false;
            return StyledLine::of(Style::Dim, text);
        }
        let mut line = StyledLine::default();
        for (column, cell) in text.split(BORDER).enumerate() {
            let style = match is_number.get(column) {
                _ if is_head => Style::Strong,
                Some(true) => Style::Syntax(SyntaxKind::Number),
                _ => Style::Plain,
            };
            line.push(Style::Dim, if column == 0 { "" } else { "│" });
            line.push(style, cell);
        }
        line
    })
}
