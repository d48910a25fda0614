//! The `:` commands, kept apart from what a circle could ever understand.

/// What `:help` prints.
pub(crate) const HELP: &str = "\
What you type is played in the circle, and stays: variables, functions, closures, imports.
  ans        the last value
  40 + 2     its value is shown; a trailing ; shows nothing
Commands:
  :help      this
  :who       which circle, and who it takes you for
  :reset     a fresh environment
  :quit      leave (Ctrl-D)
Keys:
  Enter      runs a complete input and continues an incomplete one; two blank lines run it as it is
  Alt-Enter  a new line, whatever stands before it (also Ctrl-J)
  Ctrl-C     cancels the play and keeps the session; at the prompt it clears the line
  Right      takes the grey hint from the history
  Ctrl-R     searches the history; a line that begins with a space is not kept
";

/// A command for the REPL itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meta {
    Help,
    Who,
    Reset,
    Quit,
}

const NAMES: &[&str] = &["help", "who", "reset", "quit"];

impl Meta {
    /// Whether it needs no circle, so that it need not wait for one.
    pub(crate) fn is_instant(input: &str) -> bool {
        let command = input.trim().strip_prefix(':').map(Self::parse);
        matches!(command, Some(Ok(Self::Help | Self::Quit) | Err(_)))
    }

    /// Reads what follows the colon; the error says what to type instead.
    pub(crate) fn parse(command: &str) -> Result<Self, String> {
        match command.trim() {
            "help" | "h" | "?" => Ok(Self::Help),
            "who" => Ok(Self::Who),
            "reset" => Ok(Self::Reset),
            "quit" | "q" | "exit" => Ok(Self::Quit),
            other => {
                let other = crate::printing::visible(other);
                let near = crate::suggest::nearest(&other, NAMES.iter().copied());
                Err(match near {
                    Some(name) => format!("there is no :{other}; did you mean :{name}?"),
                    None => format!("there is no :{other}; :help lists what there is"),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Meta;

    #[test]
    fn a_mistyped_command_gets_a_suggestion() {
        assert_eq!(Meta::parse("hlep").expect_err("no command"), "there is no :hlep; did you mean :help?");
        assert_eq!(Meta::parse("xyzzy").expect_err("no command"), "there is no :xyzzy; :help lists what there is");
        assert_eq!(Meta::parse(" quit "), Ok(Meta::Quit));
    }
}
