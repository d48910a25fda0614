//! Programs that people choose by a variable: an editor, a pager.

/// What is chosen, and what there is without that.
pub struct Chosen {
    /// Where it is named, the first that is set.
    pub variables: &'static [&'static str],
    /// Those that are looked for where none is named, the first that is there.
    pub usual: &'static [&'static str],
}

/// The editor for inputs.
pub const EDITOR: Chosen = Chosen { variables: &["VISUAL", "EDITOR"], usual: &["nano", "vim", "vi"] };

/// The pager for what is longer than the screen.
pub const PAGER: Chosen = Chosen { variables: &["PAGER"], usual: &["less"] };

impl Chosen {
    /// The one that is named, as a shell takes it, and where.
    pub fn named(&self) -> Option<(&'static str, String)> {
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        self.variables.iter().find_map(|name| Some((*name, value(name)?)))
    }
}
