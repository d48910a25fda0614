//! The errors of function files.

use std::{fmt, path::PathBuf};

/// A mistake in a function file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionFault {
    /// The path of the file.
    pub path: PathBuf,
    /// The line, from 1, if the mistake has a position.
    pub line: Option<u32>,
    /// The column, from 1, in Unicode scalar values.
    pub column: Option<u32>,
    /// What is wrong, and what to write.
    pub message: String,
    /// The text of the line.
    pub text: Option<String>,
}

impl FunctionFault {
    /// Makes a fault at a line (from 1) and a column (from 1) of a source.
    pub(super) fn at(path: PathBuf, source: &str, line: u32, column: u32, message: String) -> Self {
        let text = source.lines().nth(line.saturating_sub(1) as usize);
        let text = text.map(|text| text.chars().take(200).collect());
        Self { path, line: Some(line), column: Some(column), message, text }
    }

    pub(super) fn of_file(path: PathBuf, message: String) -> Self {
        Self { path, line: None, column: None, message, text: None }
    }
}

impl fmt::Display for FunctionFault {
    /// Writes `PATH:LINE:COLUMN: MESSAGE`, then the line with a caret below the column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        if let (Some(line), Some(column), Some(text)) = (self.line, self.column, &self.text) {
            let before = usize::try_from(column.saturating_sub(1)).unwrap_or_default();
            let blank: String =
                text.chars().take(before).map(|character| if character == '\t' { '\t' } else { ' ' }).collect();
            let margin = line.to_string();
            write!(f, "\n{margin} | {text}\n{:width$} | {blank}^", "", width = margin.len())?;
        }
        Ok(())
    }
}

/// The error of the functions of a circle: all mistakes in all files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionsError {
    pub(super) faults: Vec<FunctionFault>,
}

impl FunctionsError {
    /// Returns the mistakes, in the order of the files and lines.
    pub fn faults(&self) -> &[FunctionFault] {
        &self.faults
    }
}

impl fmt::Display for FunctionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for FunctionsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_shows_line_and_caret() {
        let fault =
            FunctionFault::at("shop/price.rhai".into(), "fn a() {}\n\tfn b( {}", 2, 8, "expected a name".into());
        assert_eq!(fault.to_string(), "shop/price.rhai:2:8: expected a name\n2 | \tfn b( {}\n  | \t      ^");
    }
}
