//! `complete`: lists candidates for the text at a cursor.

use protocol::{RpcError, methods::CompleteParams};
use worker::Query;

use crate::session::{Session, Ticket};

pub(crate) fn handle(session: &mut Session, ticket: Ticket, params: CompleteParams) {
    match before_cursor(params) {
        Ok(before) => session.query(ticket, Query::Complete { before }),
        Err(error) => session.reply_error(&ticket, &error),
    }
}

/// Returns the text before the cursor; the rest does not matter.
fn before_cursor(CompleteParams { mut script, cursor }: CompleteParams) -> Result<String, RpcError> {
    let ends = script.char_indices().map(|(index, _)| index).chain([script.len()]);
    let end = usize::try_from(cursor).ok().and_then(|cursor| ends.into_iter().nth(cursor));
    let end = end.ok_or_else(|| RpcError::InvalidParams {
        param: "cursor".into(),
        reason: "is beyond the end of the script".into(),
    })?;
    script.truncate(end);
    // The text waits in a queue that counts its length, so it must not hold more memory.
    script.shrink_to_fit();
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_counts_scalar_values_within_script() {
        let before = |script: &str, cursor| before_cursor(CompleteParams { script: script.into(), cursor });
        for (script, cursor, expected) in [("", 0, ""), ("aß🦀b", 0, ""), ("aß🦀b", 3, "aß🦀"), ("aß🦀b", 4, "aß🦀b")]
        {
            let before = before(script, cursor).expect("within the script");
            assert_eq!((before.as_str(), before.capacity()), (expected, expected.len()));
        }
        for (script, cursor) in [("", 1), ("aß🦀b", 5), ("a", u64::MAX)] {
            let error = before(script, cursor).expect_err("beyond the end");
            assert!(matches!(error, RpcError::InvalidParams { param, .. } if param == "cursor"));
        }
    }
}
