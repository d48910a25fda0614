//! Arguments of the commands about functions.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, ValueHint};

use super::{ConfigArgs, ConnectArgs};
use crate::shell_completion;

/// The circle whose functions to use, and who calls them.
#[derive(Debug, Args)]
pub(crate) struct CallerArgs {
    /// The circle: a name in circles.json, a port, host:port or a ws:// or wss:// URL [default: $CIRCLES_CIRCLE, then the only
    /// circle of circles.json]
    #[arg(long, value_name = "WHERE", add = shell_completion::circles())]
    pub circle: Option<String>,
    /// Authenticate with no key: call as anyone could
    #[arg(long, conflicts_with = "key")]
    pub anonymous: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "circles call [OPTIONS] NAME [PARAM=VALUE]...",
    after_help = "A VALUE is read by the declared type of its parameter: a string is the text itself, or a JSON string in quotes; \
                  every other type is JSON. circles functions NAME shows the types. The exit code is 0 with a value, 1 if the \
                  function throws or fails, and 2 if there is no such function for you or the parameters do not fit; circles man \
                  lists the others."
)]
pub(crate) struct CallArgs {
    /// The function (price, order.place); circles functions lists those that you may call
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A parameter: item=tea count=2; PARAM=@FILE reads the value from a file, PARAM=@- from standard input
    #[arg(value_name = "PARAM=VALUE", value_hint = ValueHint::FilePath)]
    pub params: Vec<String>,
    /// The parameters as JSON, an object by name or an array by position; @FILE or @- reads them
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub args: Option<String>,
    /// Print one JSON object: {"value", "prints"} or {"error"}
    #[arg(long)]
    pub json: bool,
    /// Stop the function after this time, if its own limit is longer (5s, 200ms)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Call at most once: the same call with the same ID gets the recorded result within 24 hours (22 to 64 random letters, digits, - and _; needs a key and a circle with a store)
    #[arg(long, value_name = "ID")]
    pub once: Option<String>,
    #[command(flatten)]
    pub caller: CallerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FunctionsArgs {
    /// Describe this function: its parameters, its value, what it throws [default: list all that you may call]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Print {"circle", "you", "functions": [{"name", "params", "result", "signature", …}]}
    #[arg(long, group = "format")]
    pub json: bool,
    /// Print the OpenRPC document of this caller: the methods of the protocol and the functions
    #[arg(long, group = "format", conflicts_with = "name")]
    pub openrpc: bool,
    /// Print a typed client of the functions in this language
    #[arg(long, value_name = "LANGUAGE", group = "format")]
    pub types: Option<TypesLanguage>,
    #[command(flatten)]
    pub caller: CallerArgs,
}

/// A language for typed clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypesLanguage {
    /// TypeScript
    Ts,
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The name of the circle: lower-case letters, digits and dashes
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The directory to make [default: NAME in this directory]
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
}

impl CallerArgs {
    pub(crate) fn config(&self) -> &ConfigArgs {
        &self.connect.config
    }
}
