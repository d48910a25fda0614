//! Programs that users choose by an environment variable: the editor and the pager.

/// The variables that name a program, and the default programs.
pub struct ProgramChoice {
    /// The variables; the first that is set counts.
    pub variables: &'static [&'static str],
    /// The programs to try if no variable is set; the first that is installed counts.
    pub defaults: &'static [&'static str],
}

/// The editor for inputs.
pub const EDITOR: ProgramChoice = ProgramChoice { variables: &["VISUAL", "EDITOR"], defaults: &["nano", "vim", "vi"] };

/// The pager for output that is longer than the screen.
pub const PAGER: ProgramChoice = ProgramChoice { variables: &["PAGER"], defaults: &["less"] };

impl ProgramChoice {
    /// Returns the variable that is set, and its value as a shell command.
    pub fn from_env(&self) -> Option<(&'static str, String)> {
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        self.variables.iter().find_map(|name| Some((*name, value(name)?)))
    }
}
