//! A tag with the text that belongs to it.

use crate::signature::{
    Parameter, Type, json,
    text::{excerpt, truncate},
};

use super::{MAX_TIMEOUT_MS, TagError};

/// A tag, from its `@` to the next tag.
pub(super) struct Block<'a> {
    doc: &'a str,
    /// Where the tag starts, in bytes.
    start: usize,
    /// What of the tag is not read yet, in bytes.
    offset: usize,
    end: usize,
}

/// Splits a doc comment into the text above the tags and the tags.
pub(super) fn blocks(doc: &str) -> Result<(String, Vec<Block<'_>>), TagError> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut text_end = doc.len();
    let mut fence = None;
    let mut offset = 0;
    for line in doc.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let start = offset + line.len() - trimmed.len();
        if trimmed.starts_with("```") {
            fence = if fence.is_some() { None } else { Some(start) };
        } else if trimmed.starts_with('@') && fence.is_none() {
            match blocks.last_mut() {
                Some(last) => last.end = offset,
                None => text_end = offset,
            }
            blocks.push(Block { doc, start, offset: start, end: doc.len() });
        }
        offset += line.len();
    }
    match fence {
        Some(start) => Err(error_at(doc, start, "the block of code has no end: add a line with ```".to_owned())),
        None => Ok((prose(&doc[..text_end]), blocks)),
    }
}

/// Removes the space that follows `///`, and empty lines at both ends.
fn prose(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn position(doc: &str, offset: usize) -> (usize, usize) {
    let before = &doc[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count(), before[line_start..].chars().count())
}

fn error_at(doc: &str, offset: usize, message: String) -> TagError {
    let (line, column) = position(doc, offset);
    TagError { line, column, message }
}

impl<'a> Block<'a> {
    /// Line and column of the tag, from 0.
    pub(super) fn position(&self) -> (usize, usize) {
        position(self.doc, self.start)
    }

    pub(super) fn error_at(&self, offset: usize, message: String) -> TagError {
        error_at(self.doc, offset, message)
    }

    pub(super) fn error_at_tag(&self, message: String) -> TagError {
        self.error_at(self.start, message)
    }

    fn error(&self, message: impl Into<String>) -> TagError {
        self.error_at(self.offset, message.into())
    }

    fn rest(&self) -> &'a str {
        &self.doc[self.offset..self.end]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.offset += rest.len() - rest.trim_start().len();
    }

    fn take_word(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
        self.offset += length;
        &rest[..length]
    }

    /// Reads the name of the tag.
    pub(super) fn take_name(&mut self) -> &'a str {
        self.offset += 1;
        self.take_word()
    }

    /// Reads `{TYPE}`, if it is there.
    pub(super) fn take_type(&mut self) -> Result<Option<Type>, TagError> {
        self.skip_space();
        let rest = self.rest();
        if !rest.starts_with('{') {
            return Ok(None);
        }
        let Some(length) = braces_length(rest) else {
            return Err(self.error("the brace of the type is never closed: write {TYPE}"));
        };
        let parsed = rest[1..length - 1].parse::<Type>();
        let parsed = parsed.map_err(|error| self.error_at(self.offset + 1 + error.offset, error.message))?;
        self.offset += length;
        Ok(Some(parsed))
    }

    /// Reads `NAME`, `[NAME]` or `[NAME=JSON]` and the text, and returns also where the name is.
    pub(super) fn take_parameter(&mut self, declared: Type) -> Result<(Parameter, usize), TagError> {
        self.skip_space();
        let is_optional = self.rest().starts_with('[');
        if is_optional {
            self.offset += 1;
            self.skip_space();
        }
        let name_offset = self.offset;
        let name = self.take_word().to_owned();
        if name.is_empty() {
            return Err(self.error("expected the name of the parameter: write @param {TYPE} NAME - TEXT"));
        }
        let mut default = None;
        if is_optional {
            self.skip_space();
            if self.rest().starts_with('=') {
                self.offset += 1;
                self.skip_space();
                default = Some(self.take_default(&name, &declared)?);
                self.skip_space();
            }
            if !self.rest().starts_with(']') {
                return Err(
                    self.error(format!("expected ] behind the optional parameter: write [{name}] or [{name}=JSON]"))
                );
            }
            self.offset += 1;
        }
        let next = self.rest().chars().next();
        if next.is_some_and(|next| !next.is_whitespace() && next != '-') {
            let found = excerpt(self.rest().split_whitespace().next().unwrap_or_default());
            return Err(self.error(format!("expected a space behind the name {name}, found {found}")));
        }
        let parameter = Parameter { name, r#type: declared, is_optional, default, doc: self.take_text() };
        Ok((parameter, name_offset))
    }

    fn take_default(&mut self, name: &str, declared: &Type) -> Result<crate::signature::Value, TagError> {
        let rest = self.rest();
        let Ok(length) = json::value_length(rest) else {
            let word = rest.split([']', '\n']).next().unwrap_or_default().trim();
            let hint = format!("[{name}=\"{}\"]", truncate(word, 20).escape_default());
            return Err(self.error(format!("the default is no JSON: write a number, true, false, or a text as {hint}")));
        };
        let value = json::read(&rest[..length], "").and_then(|value| declared.convert(&value));
        let value =
            value.map_err(|mismatch| self.error(format!("the default of {name} does not fit its type: {mismatch}")))?;
        self.offset += length;
        Ok(value)
    }

    /// Reads a number of milliseconds, or a number with a unit.
    pub(super) fn take_timeout(&mut self) -> Result<u64, TagError> {
        self.skip_space();
        let invalid = |block: &Self| {
            block.error(format!(
                "expected a timeout of 1 ms to {MAX_TIMEOUT_MS} ms: write @timeout 500 ms or @timeout 2 s"
            ))
        };
        let text = self.rest().trim_end();
        let digits = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
        let factor = match text[digits..].trim_start() {
            "" | "ms" => 1,
            "s" => 1000,
            _ => return Err(invalid(self)),
        };
        let timeout = text[..digits].parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        timeout.filter(|timeout| (1..=MAX_TIMEOUT_MS).contains(timeout)).ok_or_else(|| invalid(self))
    }

    pub(super) fn expect_end(&mut self, message: &str) -> Result<(), TagError> {
        self.skip_space();
        if self.rest().is_empty() { Ok(()) } else { Err(self.error(message)) }
    }

    /// Reads the rest as text, without a hyphen at the start.
    pub(super) fn take_text(&mut self) -> String {
        let text = self.rest().trim();
        self.offset = self.end;
        let text = text.strip_prefix('-').unwrap_or(text);
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        lines.join("\n").trim().to_owned()
    }
}

/// Returns the size of a text in braces, which nest, and which texts in double quotes may contain.
fn braces_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut is_text = false;
    let mut is_escaped = false;
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' if !is_text => depth += 1,
            b'}' if !is_text => {
                depth -= 1;
                if depth == 0 {
                    return Some(offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}
