//! Hex digits of one exact length into bytes, with a fault that never holds the text itself.

/// What is wrong with a text that should be hex digits.
pub(crate) enum HexError {
    /// Another number of characters than two for each byte.
    Length { found: usize },
    /// The character at this position, counted from 1, is no hex digit.
    Digit { position: usize },
}

/// Fills `bytes` from exactly twice as many hex digits, of either case.
pub(crate) fn decode(text: &str, bytes: &mut [u8]) -> Result<(), HexError> {
    if text.len() != bytes.len() * 2 {
        return Err(HexError::Length { found: text.chars().count() });
    }
    if let Some(at) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
        return Err(HexError::Digit { position: at + 1 });
    }
    hex::decode_to_slice(text, bytes).expect("length and digits were looked at");
    Ok(())
}
