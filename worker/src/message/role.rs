//! The roles of processes. All processes run the program's executable; the first argument states the role.

/// The role of a process that runs the program's executable, other than the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A fresh worker.
    Worker,
    /// A fork server, from which workers are forked.
    ForkServer,
}

impl Role {
    /// Returns the role that the first argument of this process states, or `None` in the program itself.
    pub(crate) fn of_this_process() -> Option<Self> {
        let argument = std::env::args_os().nth(1)?;
        [Self::Worker, Self::ForkServer].into_iter().find(|role| argument == role.flag())
    }

    /// The argument that gives a process this role.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Worker => "--circles-worker",
            Self::ForkServer => "--circles-template",
        }
    }

    /// The name of the process in process lists.
    pub(crate) fn process_name(self) -> &'static str {
        match self {
            Self::Worker => "circles-worker",
            Self::ForkServer => "circles-template",
        }
    }
}
