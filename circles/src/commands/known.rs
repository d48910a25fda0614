//! `circles known list|forget`: circles whose identities the user's clients remember.

use frontend::{error::CliError, known_circles::KnownCircles};
use keys::Authority;
use serde_json::json;

use crate::cli::KnownVerb;
use terminal::output::{self, to_stdout};

/// Exit code if the file of known circles has unreadable lines.
const UNREADABLE_EXIT_CODE: u8 = 6;

pub(crate) fn run(verb: &KnownVerb) -> Result<(), CliError> {
    let known = KnownCircles::open_default()?;
    match verb {
        KnownVerb::List { json } => list(&known, *json),
        KnownVerb::Forget { authority } => forget(&known, authority),
    }
}

fn list(known: &KnownCircles, is_json: bool) -> Result<(), CliError> {
    let listing = known.list()?;
    if is_json {
        let circles: Vec<_> = listing
            .circles
            .iter()
            .map(|circle| json!({ "authority": circle.authority.as_str(), "public_key": circle.public_key.to_hex() }))
            .collect();
        let unreadable: Vec<_> =
            listing.unreadable.iter().map(|line| json!({ "line": line.number, "reason": line.reason })).collect();
        to_stdout(&format!("{}\n", json!({ "circles": circles, "unreadable": unreadable })))?;
    } else if listing.circles.is_empty() && listing.unreadable.is_empty() {
        output::to_stderr(
            "there are no known circles yet\n  clients remember the identity of a circle at the first connection, unless it is ephemeral or the circle is in your \
             circles.json\n",
        );
    } else {
        let width = listing.circles.iter().map(|circle| circle.authority.as_str().len()).max().unwrap_or_default();
        for circle in &listing.circles {
            to_stdout(&format!("{:width$}  {}\n", circle.authority.as_str(), circle.public_key))?;
        }
    }
    // The readable lines are still useful, so each unreadable line is only reported.
    let is_whole = listing.unreadable.is_empty();
    for line in listing.unreadable {
        output::report(&known.unreadable_line_error(line).into());
    }
    if is_whole { Ok(()) } else { Err(CliError::AlreadyReported { exit_code: UNREADABLE_EXIT_CODE }) }
}

fn forget(known: &KnownCircles, authority: &Authority) -> Result<(), CliError> {
    known.forget(authority)?;
    output::to_stderr(&format!(
        "forgot the circle at {authority}; the next client accepts and remembers the identity that it finds there\n"
    ));
    Ok(())
}
