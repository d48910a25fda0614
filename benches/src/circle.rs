//! A circle in a separate process, to measure its resources separately from those of its clients.

use std::{
    io::Read,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use server_ws::{Access, AccessDefinition, Circle, Limits, StoreLocation};

use crate::{BoxError, process_tree, round_trips::answer_module};

/// The argument that runs this program as a circle.
pub(crate) const FLAG: &str = "--circle";

/// The argument for the default limits.
pub(crate) const DEFAULTS: &str = "--defaults";

/// The argument for a circle that requires a key.
pub(crate) const NEEDS_KEY: &str = "--needs-key";

/// The arguments for a circle with functions: their directory, and the roles as JSON, as those of `circles serve`.
const FUNCTIONS: &str = "--functions";
const ROLES: &str = "--roles";

/// The argument for a circle with a store: its file.
const STORE: &str = "--store";

/// Prints the address of a circle and serves it until standard input ends.
pub(crate) async fn serve() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    // All attackers share one address and must run concurrently, because the benchmark shows their isolation from
    // others. The circle must parse even the largest hostile scripts instead of rejecting them.
    let (sessions_per_caller, running_per_caller) = (Some(512), Some(128));
    let has_flag = |flag: &str| std::env::args().any(|argument| argument == flag);
    let limits = Limits { sessions_per_caller, running_per_caller, message_kib: 4096, ..Limits::default() };
    let limits = if has_flag(DEFAULTS) { Limits::default() } else { limits };
    let access = if has_flag(NEEDS_KEY) { Access::Authenticated } else { Access::Open };
    let builder = Circle::builder("bench").host_module(answer_module()).limits(limits).access(access);
    let value = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let builder = match value(STORE) {
        Some(file) => builder.store(StoreLocation::File(file.into())),
        None => builder,
    };
    let circle = match (value(FUNCTIONS), value(ROLES)) {
        (Some(directory), Some(roles)) => {
            let roles: AccessDefinition<String> = serde_json::from_str(&roles)?;
            let roles = roles.try_map_keys(|_, _, key| key.parse())?;
            builder.roles(roles).functions(directory).build()?
        }
        _ => builder.build()?,
    };
    let input_ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    server_ws::run(listener, circle, async { drop(input_ended.await) }).await?;
    Ok(())
}

/// A circle in a child process, which ends when this is dropped.
pub(crate) struct CircleProcess {
    child: Child,
    pub(crate) authority: String,
}

impl CircleProcess {
    pub(crate) fn start() -> Result<Self, BoxError> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(FLAG).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut authority = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().ok_or("it is piped")?);
        std::io::BufRead::read_line(&mut output, &mut authority)?;
        Ok(Self { child, authority: authority.trim().to_owned() })
    }

    /// Resident memory of the process, in KiB.
    pub(crate) fn resident(&self) -> Result<i64, BoxError> {
        process_tree::resident(self.child.id())
    }

    /// Private memory of all descendants of the process, in KiB.
    pub(crate) fn private_below(&self) -> Result<i64, BoxError> {
        process_tree::descendants(self.child.id())?.into_iter().map(process_tree::private).sum()
    }
}

impl Drop for CircleProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The circle drains and exits.
        let _status = self.child.wait();
    }
}
