//! `circles call`: call one function of a circle, print its value, and exit with a code for the outcome.

mod arguments;

use std::time::Duration;

use client_ws::{CallRequest, PlayEvent, PlayValue, RunningCall};
use frontend::{
    error::CliError,
    functions::{deprecation_note, play_result},
};
use protocol::methods::Output;
use serde_json::{Value, json};
use terminal::{
    modes::Interrupts,
    output::{line_to_stderr, line_to_stdout},
    printer::Printer,
    runtime::client_runtime,
};

use super::{
    caller::CallerConnection,
    play::outcome::{error_object, print_value},
};
use crate::cli::CallArgs;
use arguments::Arguments;

/// Time for an interrupted call to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &CallArgs) -> Result<(), CliError> {
    call(args).inspect_err(|error| {
        if args.json {
            // Even if nobody reads stdout, the exit code tells the outcome.
            let _unread = line_to_stdout(&error_object(error).to_string());
        }
    })
}

fn call(args: &CallArgs) -> Result<(), CliError> {
    let arguments = Arguments::read(args)?;
    client_runtime()?.block_on(async {
        let connection = CallerConnection::open(&args.caller).await?;
        let functions = connection.functions().await?;
        let function = connection.find(&functions, &args.name)?;
        let mut request = CallRequest::new(&function.name).params(Value::from(arguments.params(function)?));
        if let Some(timeout) = args.timeout {
            request = request.timeout(timeout);
        }
        if let Some(once) = &args.once {
            request = request.once(once);
        }
        if let Some(note) = deprecation_note(function) {
            line_to_stderr(&format!("note: {note}"));
        }
        let mut interrupts = Interrupts::claim()?;
        let failed = |error| CliError::from_call(&function.name, &connection.target, error);
        let mut call = connection.client.start_call(request).await.map_err(failed)?;
        let mut output = CallOutput { printer: Printer::start(), kept: args.json.then(Vec::new) };
        let printed = tokio::select! {
            printed = output.take_from(&mut call) => Some(printed),
            () = interrupts.next() => None,
        };
        let Some(printed) = printed else {
            // The message is the same whether or not the call ended in time.
            let _late = tokio::time::timeout(CANCEL_TIMEOUT, call.cancel()).await;
            return Err(CliError::Interrupted);
        };
        printed?;
        let CallOutput { printer, kept } = output;
        let ended = async {
            let value = call.result::<PlayValue>().await.map_err(failed);
            // All prints come before the value or the error.
            printer.finish().await?;
            value
        };
        let value = tokio::select! {
            value = ended => value?,
            () = interrupts.next() => return Err(CliError::Interrupted),
        };
        match kept {
            Some(prints) => Ok(line_to_stdout(&success_object(&value, &prints))?),
            None => print_value(&play_result(value)),
        }
    })
}

/// The output of a call.
struct CallOutput {
    printer: Printer,
    /// The prints that are kept for `--json`.
    kept: Option<Vec<Output>>,
}

impl CallOutput {
    /// Prints or keeps the output of a call, until the call has ended.
    async fn take_from(&mut self, call: &mut RunningCall) -> Result<(), CliError> {
        while let Some(event) = call.next().await {
            let PlayEvent::Output(output) = event else { continue };
            match &mut self.kept {
                Some(kept) => kept.push(output),
                None => self.printer.output(output).await?,
            }
        }
        Ok(())
    }
}

fn success_object(value: &PlayValue, prints: &[Output]) -> String {
    let prints: Vec<Value> =
        prints.iter().map(|output| json!({ "stream": output.stream, "text": output.text })).collect();
    // The value keeps all digits of its numbers.
    format!(r#"{{"value":{},"prints":{}}}"#, value.as_json(), Value::from(prints))
}
