//! The function files of an environment, and the calls of their functions.

use rhai::{Array, Dynamic, Map, Module};

use super::{Environment, TraceRoot};
use crate::{
    engine::{self, EvaluatedScript, FileSource, INIT_PLAY, PreparedCall},
    inspection::{self, DeclaredFunction, FunctionFileError, ParsedFile},
    message::{
        CallMessage, ErrorKind, EvalOutcome, FunctionFiles, NO_FUNCTION, Play, ScriptError, TraceFrame, TraceSource,
        Value,
    },
};

/// The function files of an environment.
pub(super) struct Functions {
    /// The files, for tracebacks.
    pub(super) files: Vec<FileSource>,
    /// The public functions of all files; or the outcome of every call, if a file failed.
    functions: Result<Vec<CallableFunction>, Box<EvalOutcome>>,
}

/// A public function.
struct CallableFunction {
    name: String,
    call: PreparedCall,
}

/// A play without a script, for the functions that need one.
fn scriptless(number: u64) -> Play<'static> {
    Play { number, script: "", name: None, bind: None }
}

impl Environment {
    /// Evaluates the top levels of function files, and prepares the calls of their functions.
    pub(super) fn prepare_functions(&mut self, setup: &FunctionFiles) {
        let parsed = match inspection::parse_function_files(&self.engine, &setup.files) {
            Ok(parsed) => parsed,
            Err(errors) => {
                let outcome = errors.into_iter().next().map(|error| parse_failure(error, setup));
                let functions = outcome.map_or_else(|| Ok(Vec::new()), |outcome| Err(outcome.into()));
                self.function_files = Some(Functions { files: Vec::new(), functions });
                return;
            }
        };
        let source = |(file, parsed): (&crate::message::FunctionFile, &ParsedFile)| FileSource {
            path: file.path.clone(),
            text: file.source.clone(),
            functions: parsed.ast.shared_lib().clone(),
        };
        let files = setup.files.iter().zip(&parsed).map(source).collect();
        self.function_files = Some(Functions { files, functions: Ok(Vec::new()) });
        self.modules.isolate_calls();
        let functions = self.evaluate_files(setup, &parsed);
        self.modules.keep_loaded();
        if let Some(prepared) = &mut self.function_files {
            prepared.functions = functions;
        }
    }

    fn evaluate_files(
        &mut self,
        setup: &FunctionFiles,
        parsed: &[ParsedFile],
    ) -> Result<Vec<CallableFunction>, Box<EvalOutcome>> {
        let (mut namespace, mut functions) = (Module::new(), Vec::new());
        for (index, (file, parsed)) in setup.files.iter().zip(parsed).enumerate() {
            // Nothing stops a file before it begins.
            let _began = self.meter.begin(INIT_PLAY);
            let script = EvaluatedScript::new(&self.engine, &parsed.ast);
            self.meter.end();
            if let Some((kind, max)) = self.meter.breach() {
                return Err(EvalOutcome::Limit { kind, max }.into());
            }
            let script = script.map_err(|error| Box::new(self.failed(*error, INIT_PLAY, TraceRoot::File(index))))?;
            let mut module = Module::new();
            for function in parsed.functions.iter().filter(|function| !function.is_private) {
                let call = script.prepare(&self.engine, &function.name).map_err(|why| {
                    let DeclaredFunction { name, .. } = function;
                    Box::new(engine::runtime_error(format!("cannot call {name} of {}: {why}", file.path)))
                })?;
                call.add_to(&mut module, &function.name);
                let mut name = format!("{}.{}", file.name, function.name);
                if function.name == file.name {
                    call.add_to(&mut namespace, &function.name);
                    name.clone_from(&file.name);
                }
                functions.push(CallableFunction { name, call });
            }
            namespace.set_sub_module(file.name.as_str(), module);
        }
        self.engine.register_static_module(&setup.namespace, namespace.into());
        Ok(functions)
    }

    /// Calls a function.
    pub(crate) fn call(&mut self, call: CallMessage<'_>) -> EvalOutcome {
        if !self.meter.begin(call.number) {
            self.meter.end();
            return EvalOutcome::Stopped;
        }
        // A native function of the program may have changed a value of the call before.
        self.register_constants();
        let outcome = self.run_call(call);
        self.meter.end();
        self.modules.end_call();
        // Check after the evaluation, because some native functions drop the error that ended a callback.
        if self.meter.is_stopped() {
            return EvalOutcome::Stopped;
        }
        match self.meter.breach() {
            Some((kind, max)) => EvalOutcome::Limit { kind, max },
            None => outcome,
        }
    }

    fn run_call(&self, call: CallMessage<'_>) -> EvalOutcome {
        if let Some(outcome) = &self.init_failure {
            return outcome.clone();
        }
        let functions = match self.function_files.as_ref().map(|files| &files.functions) {
            Some(Ok(functions)) => functions.as_slice(),
            Some(Err(outcome)) => return (**outcome).clone(),
            None => &[],
        };
        let Some(function) = functions.get(call.function as usize) else {
            return engine::runtime_error(format!("{NO_FUNCTION} {}", call.function));
        };
        let CallableFunction { name, call: prepared } = function;
        if prepared.params() != call.args.len() {
            let (expected, actual) = (prepared.params(), call.args.len());
            return engine::runtime_error(format!(
                "{name} has {expected} parameters, but the call has {actual} arguments"
            ));
        }
        let args: Vec<_> = call.args.into_owned().into_iter().map(dynamic).collect();
        if let Some((kind, max)) = args.iter().find_map(|value| engine::exceeded_size(value, &self.limits)) {
            return EvalOutcome::Limit { kind, max };
        }
        let result = prepared.call(&self.engine, args, 0).or_else(engine::exit_value);
        match result {
            Ok(value) => self.render(&value),
            Err(error) => self.failed(*error, call.number, TraceRoot::Call),
        }
    }

    fn failed(&self, error: rhai::EvalAltResult, number: u64, root: TraceRoot) -> EvalOutcome {
        self.failure(error, &scriptless(number), root)
    }
}

/// The outcome of calls whose files do not parse. The program parses the files before it starts a worker, so this is
/// the exception.
fn parse_failure(error: FunctionFileError, setup: &FunctionFiles) -> EvalOutcome {
    let path = setup.files.get(error.file).map(|file| file.path.clone()).unwrap_or_default();
    EvalOutcome::Failed(ScriptError {
        kind: ErrorKind::Parse,
        message: error.message,
        position: None,
        function: None,
        hint: None,
        thrown: None,
        trace: vec![TraceFrame {
            source: TraceSource::File(path),
            function: None,
            position: error.position,
            text: None,
            repeats: 0,
            omitted: 0,
        }],
    })
}

/// Converts an argument, whose depth is bounded.
fn dynamic(value: Value) -> Dynamic {
    match value {
        Value::Unit => Dynamic::UNIT,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => value.into(),
        Value::String(text) => text.into(),
        Value::Blob(bytes) => Dynamic::from_blob(bytes),
        Value::Array(items) => items.into_iter().map(dynamic).collect::<Array>().into(),
        Value::Map(members) => {
            members.into_iter().map(|(name, value)| (name.into(), dynamic(value))).collect::<Map>().into()
        }
    }
}
