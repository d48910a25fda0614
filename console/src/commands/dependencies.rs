//! What an input depends on: the circle, the inputs before it, the directory of files.

use super::ReplCommand;

/// Parses an input as a REPL command; `None` if it is a script.
fn parse(input: &str) -> Option<Result<ReplCommand, String>> {
    input.trim().strip_prefix(':').map(ReplCommand::parse)
}

/// Whether an input needs the session's circle. The console carries out some commands itself, and `:each` plays on
/// other circles.
pub fn needs_circle(input: &str) -> bool {
    match parse(input) {
        Some(
            Err(_)
            | Ok(
                ReplCommand::Help(_)
                | ReplCommand::Quit
                | ReplCommand::Use(_)
                | ReplCommand::Edit
                | ReplCommand::FanOut { .. }
                | ReplCommand::History(_)
                | ReplCommand::Last
                | ReplCommand::Save { .. }
                | ReplCommand::Source(_)
                | ReplCommand::Out(_)
                | ReplCommand::Copy { .. }
                | ReplCommand::Json { .. }
                | ReplCommand::Shell(_)
                | ReplCommand::Directory(_)
                | ReplCommand::Replay { is_confirmed: false },
            ),
        ) => false,
        Some(Ok(ReplCommand::Time(script) | ReplCommand::Plot(script))) => !script.is_empty(),
        Some(Ok(_)) | None => true,
    }
}

/// Whether the circle carries out an input only for callers who may play.
pub(crate) fn needs_right_to_play(input: &str) -> bool {
    let is_for_all = |command: &ReplCommand| {
        matches!(
            command,
            ReplCommand::Call(_)
                | ReplCommand::Functions(_)
                | ReplCommand::Doc(_)
                | ReplCommand::Who
                | ReplCommand::Watch(_)
                | ReplCommand::Key(_)
        )
    };
    needs_circle(input) && !matches!(parse(input), Some(Ok(command)) if is_for_all(&command))
}

/// Whether the outcome of an input depends on the inputs before it: it plays, asks the circle, or shows what the session
/// has. A `:key` command does not, because the inputs before it may wait for its key.
pub(crate) fn depends_on_inputs(input: &str) -> bool {
    !matches!(
        parse(input),
        Some(
            Err(_)
                | Ok(ReplCommand::Help(_)
                    | ReplCommand::Quit
                    | ReplCommand::Use(_)
                    | ReplCommand::Key(_)
                    | ReplCommand::Edit
                    | ReplCommand::History(_)
                    | ReplCommand::Shell(_)
                    | ReplCommand::Directory(_))
        )
    )
}

/// Whether an input may have to wait in the queue of a session.
pub fn may_wait(input: &str) -> bool {
    needs_circle(input) || depends_on_inputs(input) || uses_directory(input)
}

/// Whether a command uses the directory that `:cd` changes.
pub(crate) fn uses_directory(input: &str) -> bool {
    matches!(
        parse(input),
        Some(Ok(ReplCommand::Load(_)
            | ReplCommand::Save { .. }
            | ReplCommand::Json { .. }
            | ReplCommand::Shell(_)
            | ReplCommand::Directory(_)))
    ) || matches!(parse(input), Some(Ok(ReplCommand::Call(call))) if call.reads_files())
}

/// Whether a command may change the directory.
pub(crate) fn changes_directory(input: &str) -> bool {
    matches!(parse(input), Some(Ok(ReplCommand::Directory(Some(_)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_commands_need_no_circle() {
        let local = [
            ":source f",
            ":help",
            ":hlep",
            ":quit",
            ":use lab",
            ":edit",
            ":history a",
            ":last",
            ":save x",
            ":time",
            ":plot",
            ":replay",
            ":out 3",
            ":copy",
            ":json",
            ":sh ls",
            ":cd",
        ];
        let with_circle = [
            "1 + 1",
            ":time 1",
            ":plot [1]",
            ":load x",
            ":vars",
            ":functions",
            ":reset",
            ":who",
            ":key alice",
            ":replay!",
            ":timeit 1",
            ":call price",
            ":watch keys stock/",
        ];
        assert!(local.iter().all(|input| !needs_circle(input)) && !needs_circle(":each a 1"));
        assert!(with_circle.iter().all(|input| needs_circle(input)));
    }

    #[test]
    fn command_without_a_play_depends_on_inputs_if_it_shows_their_results() {
        let dependent =
            ["1", "f?", ":vars", ":source f", ":last", ":save x", ":out 3", ":json", ":replay", ":time", ":each a 1"];
        let independent = [":help", ":hlep", ":use lab", ":key alice", ":edit", ":history", ":sh ls", ":cd x", ":quit"];
        assert!(dependent.iter().all(|input| depends_on_inputs(input)));
        assert!(!independent.iter().any(|input| depends_on_inputs(input)));
        assert!(depends_on_inputs(":call price") && !uses_directory(":call price item=tea"));
        assert!(uses_directory(":call price item=@tea.txt"));
        assert!(may_wait(":key alice") && may_wait(":cd x") && !may_wait(":help"));
    }
}
