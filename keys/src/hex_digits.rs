//! Hex decoding of texts with a fixed length. Errors never contain the text, which may be a secret.

/// The reason why a text is not the expected hex digits.
pub(crate) enum HexError {
    /// The number of characters is not two for each byte.
    Length { found: usize },
    /// The character at this position, counted from 1, is not a hex digit.
    Digit { position: usize },
}

/// Fills `bytes` from exactly twice as many hex digits of either case.
pub(crate) fn decode(text: &str, bytes: &mut [u8]) -> Result<(), HexError> {
    if text.len() != bytes.len() * 2 {
        return Err(HexError::Length { found: text.chars().count() });
    }
    if let Some(at) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
        return Err(HexError::Digit { position: at + 1 });
    }
    hex::decode_to_slice(text, bytes).expect("length and digits are checked above");
    Ok(())
}
