//! The function files of an environment, and the calls of their functions.

use rhai::{AST, Array, Dynamic, Engine, Map, Module, Scope, Shared};

use super::{Environment, TraceRoot};
use crate::{
    engine::{self, EvaluatedScript, FileSource, INIT_PLAY, VariableSizes},
    inspection::{self, DeclaredFunction, FunctionFileError, ParsedFile},
    message::{CallMessage, ErrorKind, EvalOutcome, FunctionFiles, Play, ScriptError, TraceFrame, TraceSource, Value},
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
    params: Vec<Shared<str>>,
    /// The expression that calls the function, with the names of `params` as arguments.
    call: AST,
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
        let mut namespace = Module::new();
        for (index, (file, parsed)) in setup.files.iter().zip(parsed).enumerate() {
            // Nothing stops a file before it begins.
            let _began = self.meter.begin(INIT_PLAY);
            let module = EvaluatedScript::new(&self.engine, &parsed.ast).and_then(|script| {
                let own = script.public_functions().find(|function| function.name == file.name);
                if let Some(own) = own {
                    script.add_function(own, &mut namespace);
                }
                script.into_module(&self.engine)
            });
            self.meter.end();
            let outcome = module.map_err(|error| Box::new(self.failed(*error, INIT_PLAY, TraceRoot::File(index))));
            if let Some((kind, max)) = self.meter.breach() {
                return Err(EvalOutcome::Limit { kind, max }.into());
            }
            namespace.set_sub_module(file.name.as_str(), outcome?);
        }
        self.engine.register_static_module(&setup.namespace, namespace.into());
        let declared = parsed.iter().flat_map(|file| &file.functions).filter(|function| !function.is_private);
        declared.map(|function| CallableFunction::new(&self.engine, setup, function)).collect()
    }

    /// Calls a function.
    pub(crate) fn call(&mut self, call: CallMessage<'_>) -> EvalOutcome {
        if !self.meter.begin(call.number) {
            self.meter.end();
            return EvalOutcome::Stopped;
        }
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
            return engine::runtime_error(format!("there is no function with the index {}", call.function));
        };
        let CallableFunction { name, params, call: expression } = function;
        if params.len() != call.args.len() {
            let (expected, actual) = (params.len(), call.args.len());
            return engine::runtime_error(format!(
                "{name} has {expected} parameters, but the call has {actual} arguments"
            ));
        }
        let mut scope = Scope::new();
        for (param, value) in params.iter().zip(call.args.into_owned()) {
            scope.push_dynamic(param.as_ref(), dynamic(value));
        }
        if let Some((kind, max)) = VariableSizes::default().check(&scope, &self.limits) {
            return EvalOutcome::Limit { kind, max };
        }
        // Fresh, so that nothing remains of the calls before.
        let mut global = self.engine.new_global_runtime_state();
        let result = engine::evaluate(&self.engine, &mut global, &mut scope, expression).or_else(engine::exit_value);
        match result {
            Ok(value) => self.render(&value),
            Err(error) => self.failed(*error, call.number, TraceRoot::Call),
        }
    }

    fn failed(&self, error: rhai::EvalAltResult, number: u64, root: TraceRoot) -> EvalOutcome {
        self.failure(error, &scriptless(number), root)
    }
}

impl CallableFunction {
    fn new(engine: &Engine, setup: &FunctionFiles, function: &DeclaredFunction) -> Result<Self, Box<EvalOutcome>> {
        let file = &setup.files[function.file].name;
        let params: Vec<String> = (0..function.params.len()).map(|index| format!("argument_{index}")).collect();
        let expression = format!("{}::{file}::{}({})", setup.namespace, function.name, params.join(", "));
        let call = engine.compile(&expression);
        let failed = |error| Box::new(engine::runtime_error(format!("cannot call {expression}: {error}")));
        let call = call.map_err(failed)?;
        let params = params.iter().map(|param| param.as_str().into()).collect();
        let name = if *file == function.name { file.clone() } else { format!("{file}.{}", function.name) };
        Ok(Self { name, params, call })
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
