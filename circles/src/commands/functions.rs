//! `circles functions`: what a caller may call, with types and documentation.

use std::slice;

use client_ws::FunctionInfo;
use frontend::{
    error::{Caller, CliError},
    functions,
    text::StyledLine,
    visible::visible,
};
use serde_json::json;
use terminal::{
    output::{Paint, line_to_stderr, line_to_stdout, stdout_size, to_stdout},
    runtime::client_runtime,
};

use super::caller::{CallerConnection, failed_on};
use crate::cli::{FunctionsArgs, TypesLanguage};

pub(crate) fn run(args: &FunctionsArgs) -> Result<(), CliError> {
    client_runtime()?.block_on(async {
        let connection = CallerConnection::open(&args.caller).await?;
        if args.openrpc {
            let document = connection.client.discover().await.map_err(|error| failed_on(&connection.target, error))?;
            return Ok(line_to_stdout(&format!("{document:#}"))?);
        }
        let all = connection.functions().await?;
        let chosen = match &args.name {
            Some(name) => slice::from_ref(connection.find(&all, name)?),
            None => all.as_slice(),
        };
        if args.json {
            let object = json!({ "circle": connection.circle.name, "you": connection.you(), "functions": chosen });
            return Ok(line_to_stdout(&object.to_string())?);
        }
        match args.types {
            Some(TypesLanguage::Ts) => to_stdout(&functions::typescript(&source(&connection), chosen))?,
            None => print(&connection, chosen, args.name.is_some())?,
        }
        Ok(())
    })
}

/// Describes the circle and the role of the functions, in one line.
fn source(connection: &CallerConnection) -> String {
    let circle = &connection.circle;
    let role = match &circle.you.role {
        Some(role) => format!(" that the role {role} may call"),
        None => String::new(),
    };
    let version = circle.functions.as_ref().map_or_else(String::new, |info| format!(", version {}", info.version));
    format!("The functions of the circle {}{role}{version}", circle.name)
}

fn print(connection: &CallerConnection, chosen: &[FunctionInfo], is_one: bool) -> Result<(), CliError> {
    // A pipe gets the lines as they are.
    let width = stdout_size().map_or(usize::MAX, |(columns, _)| columns);
    let lines: Vec<StyledLine> = match chosen {
        [function] if is_one => functions::describe(function, width),
        chosen => functions::list(chosen, width),
    };
    let paint = Paint::for_stdout();
    to_stdout(&lines.iter().map(|line| paint.line(line) + "\n").collect::<String>())?;
    if !is_one {
        line_to_stderr(&summary(connection, chosen.len()));
    }
    Ok(())
}

/// Says who the caller is, and what to do next.
fn summary(connection: &CallerConnection, count: usize) -> String {
    let you = connection.you();
    let caller = Caller::from(you);
    let name = visible(&connection.circle.name);
    if connection.circle.functions.is_none() && count == 0 {
        return format!("{name} has no functions");
    }
    let key = if caller.has_key { "" } else { "; --key NAME authenticates with a key" };
    match count {
        0 => format!("{name} has no function for you: you are {caller}{key}"),
        1 => format!("1 function of {name}: you are {caller}{key}"),
        count => format!("{count} functions of {name}: you are {caller}{key}"),
    }
}
