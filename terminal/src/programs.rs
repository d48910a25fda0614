//! Programs that people choose by a variable: an editor, a pager.

/// What is chosen, and what there is without that.
pub struct ProgramChoice {
    /// Where it is named, the first that is set.
    pub variables: &'static [&'static str],
    /// Those that are looked for where none is named, the first that is there.
    pub defaults: &'static [&'static str],
}

/// The editor for inputs.
pub const EDITOR: ProgramChoice = ProgramChoice { variables: &["VISUAL", "EDITOR"], defaults: &["nano", "vim", "vi"] };

/// The pager for what is longer than the screen.
pub const PAGER: ProgramChoice = ProgramChoice { variables: &["PAGER"], defaults: &["less"] };

impl ProgramChoice {
    /// The one that is named, as a shell takes it, and where.
    pub fn from_env(&self) -> Option<(&'static str, String)> {
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        self.variables.iter().find_map(|name| Some((*name, value(name)?)))
    }
}
