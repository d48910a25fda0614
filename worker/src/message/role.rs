//! Roles of processes. All of them run the program's executable; the first argument says which role a process has.

/// The role of a process that the program started of itself, other than the program's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A worker for one owner, started anew.
    Worker,
    /// A process that workers are forked from.
    ForkServer,
}

impl Role {
    /// The role that the first argument of this process states; `None` where this is the program itself.
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

    /// The name of the process, as lists of processes show it.
    pub(crate) fn process_name(self) -> &'static str {
        match self {
            Self::Worker => "circles-worker",
            Self::ForkServer => "circles-template",
        }
    }
}
