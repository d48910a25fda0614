//! Lays out an array of maps with mostly the same keys as a table.

use std::collections::BTreeSet;

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

/// The maximum number of columns, which bounds the memory. No screen has room for so many.
const MAX_COLUMNS: usize = 256;

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

/// The cells of a row, in the order of the keys. A map without the key has no cell.
type TableRow<'n, 'a> = Vec<Option<&'n Node<'a>>>;

/// Lays out a value as a table, with a note if it has more rows, which depends on whether `ans` has the value; `None` if it is not an array of maps that have at least
/// half of all keys, or does not fit into `width`.
pub(super) fn lines(node: &Node<'_>, width: usize, is_bound: bool) -> Option<Vec<StyledLine>> {
    let mut lines = all_lines(node, width, MAX_ROWS)?;
    let Shape::Array(items) = &node.shape else { return None };
    if let Some(more) = items.len().checked_sub(MAX_ROWS).filter(|more| *more > 0) {
        let more = group_digits(more);
        let rest = if is_bound {
            format!("{LAST_VALUE}.extract({MAX_ROWS}..{}) returns the next ones", 2 * MAX_ROWS)
        } else {
            ":json FILE writes all of them".to_owned()
        };
        let note = format!("… {more} more rows: {rest}");
        lines.push(StyledLine::of(Style::Dim, &note));
    }
    Some(lines)
}

/// Lays out a value as a table with all of its rows; `None` also if there are too many.
pub(super) fn complete_lines(node: &Node<'_>, width: usize) -> Option<Vec<StyledLine>> {
    let Shape::Array(items) = &node.shape else { return None };
    if items.len() <= MAX_ROWS { all_lines(node, width, MAX_ROWS) } else { None }
}

fn all_lines(node: &Node<'_>, width: usize, max_rows: usize) -> Option<Vec<StyledLine>> {
    let (keys, shown) = rows(node, max_rows)?;
    let texts: Vec<Vec<String>> =
        shown.iter().map(|row| row.iter().map(|cell| cell.map_or_else(String::new, cell_text)).collect()).collect();
    let heads: Vec<String> = keys.iter().map(|key| header(key)).collect();
    if !has_room(&heads, &texts, width) {
        return None;
    }
    let is_number = |column: usize| {
        let mut cells = shown.iter().filter_map(|row| row[column]);
        cells.all(|cell| matches!(cell.shape, Shape::Number(_) | Shape::Unit))
    };
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
    Some(style_lines(table.lines(), &is_number).collect())
}

/// Returns all keys in the order in which Rhai writes them, and the first rows.
fn rows<'n, 'a>(node: &'n Node<'a>, max_rows: usize) -> Option<(Vec<&'n str>, Vec<TableRow<'n, 'a>>)> {
    let Shape::Array(items) = &node.shape else { return None };
    let (mut keys, mut cells) = (BTreeSet::new(), 0);
    for item in items {
        let Shape::Map(map) = &item.shape else { return None };
        if map.iter().any(|(_, cell)| cell.has_parts() && cell.width > MAX_NESTED) {
            return None;
        }
        keys.extend(map.iter().map(|(key, _)| key.name.as_ref()));
        cells += map.len();
        if keys.len() > MAX_COLUMNS {
            return None;
        }
    }
    // A table with more blanks than values would be hard to read.
    if keys.is_empty() || cells * 2 < keys.len() * items.len() {
        return None;
    }
    let keys: Vec<&str> = keys.into_iter().collect();
    let mut rows = Vec::new();
    for item in items.iter().take(max_rows) {
        let Shape::Map(map) = &item.shape else { return None };
        let mut row = vec![None; keys.len()];
        for (key, cell) in map {
            row[keys.binary_search(&key.name.as_ref()).ok()?] = Some(cell);
        }
        rows.push(row);
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
