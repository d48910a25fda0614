//! The functions of one generation: their names, types and documentation.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
};

use functions::{
    roles::Role,
    signature::{FunctionName, Signature, TagError},
};
use serde_json::{Value, value::RawValue};
use worker::{DeclaredFunction, FunctionFile, FunctionFileError, HostFunction, HostModule, WorkerLimits};

use super::{
    NAMESPACE,
    error::{FunctionFault, FunctionsError},
    program_functions,
};
use crate::host::FunctionTable;

/// A function of a circle.
#[derive(Debug)]
pub(crate) struct CircleFunction {
    pub(crate) signature: Signature,
    pub(crate) body: FunctionBody,
    /// The method object of the contract.
    pub(super) method: Value,
}

impl CircleFunction {
    pub(crate) fn name(&self) -> &str {
        self.signature.name.as_str()
    }

    /// Checks a value against the declared type of the result. The error is the reason.
    pub(crate) fn check_result(&self, value: &RawValue) -> Result<(), String> {
        if self.signature.returns.r#type.is_any() {
            return Ok(());
        }
        let value = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
        self.signature.check_result(&value).map_err(|mismatch| match mismatch.path.as_str() {
            "" => mismatch.reason,
            path => format!("{path}: {}", mismatch.reason),
        })
    }
}

/// Where a function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FunctionBody {
    /// In a worker, which has this number for it.
    Worker(u32),
    /// In the program: a function of a module in the table of host functions.
    Program {
        /// The index of the module.
        module: usize,
        /// The index of the function in the module.
        function: usize,
    },
}

/// The functions by name.
#[derive(Debug)]
pub(crate) struct Catalog {
    functions: BTreeMap<String, Arc<CircleFunction>>,
    /// Differs for other files.
    pub(super) digest: u64,
}

impl Catalog {
    /// Parses files.
    ///
    /// # Errors
    ///
    /// All mistakes in all files.
    pub(super) fn parse(
        files: &[FunctionFile],
        own: &FunctionTable,
        limits: &WorkerLimits,
    ) -> Result<Self, FunctionsError> {
        let declared = worker::inspect_functions(files, limits).map_err(|errors| FunctionsError {
            faults: errors.iter().map(|error| file_fault(files, error)).collect(),
        })?;
        let (mut functions, mut faults) = (BTreeMap::new(), Vec::new());
        for (number, declared) in (0..).zip(declared.iter().filter(|function| !function.is_private)) {
            match parse(&files[declared.file], declared) {
                Ok(signature) => {
                    let method = signature.openrpc();
                    functions.insert(
                        signature.name.to_string(),
                        CircleFunction { signature, body: FunctionBody::Worker(number), method }.into(),
                    );
                }
                Err(more) => faults.extend(more),
            }
        }
        for function in program_functions::all(own) {
            match function {
                Ok(function) => {
                    let name = function.signature.name.to_string();
                    if functions.insert(name.clone(), function.into()).is_some() {
                        let message =
                            format!("the program and a file both declare the function {name}: rename one of them");
                        faults.push(FunctionFault::of_file(name.into(), message));
                    }
                }
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(FunctionsError { faults });
        }
        let mut hasher = DefaultHasher::new();
        for FunctionFile { name, source, .. } in files {
            (name, source).hash(&mut hasher);
        }
        Ok(Self { functions, digest: hasher.finish() })
    }

    /// Whether a function runs in a worker.
    pub(super) fn has_files(&self) -> bool {
        self.functions.values().any(|function| matches!(function.body, FunctionBody::Worker(_)))
    }

    /// Returns a function that a role may call.
    pub(super) fn find(&self, name: &str, role: &Role) -> Option<&Arc<CircleFunction>> {
        self.functions.get(name).filter(|function| role.may_call(&function.signature.name))
    }

    /// Returns the functions as modules of plays: `circle::price(…)`, `circle::order::place(…)`. Also returns the name of
    /// each function of the modules, in their order. A function with optional parameters is there several times.
    pub(super) fn offered(&self) -> (Vec<HostModule>, Vec<Arc<str>>) {
        // The module of the namespace comes first, because it contains the others.
        let mut modules = BTreeMap::from([(NAMESPACE.to_owned(), Vec::new())]);
        for (name, function) in &self.functions {
            let (module, own) = match name.split_once('.') {
                Some((file, own)) => (format!("{NAMESPACE}::{file}"), own),
                None => (NAMESPACE.to_owned(), name.as_str()),
            };
            let Signature { params, doc, .. } = &function.signature;
            let required = params.iter().filter(|param| !param.is_optional).count();
            let text = function.signature.text();
            // Scripts write only the last part of the name after the module.
            let signature = format!("{own}{}", text.strip_prefix(name.as_str()).unwrap_or(&text));
            let functions: &mut Vec<(HostFunction, Arc<str>)> = modules.entry(module).or_default();
            functions.extend((required..=params.len()).map(|count| {
                let names = params[..count].iter().map(|param| param.name.clone()).collect();
                let (doc, signature) = (doc.clone(), Some(signature.clone()));
                (HostFunction { name: own.to_owned(), params: names, doc, signature }, Arc::from(name.as_str()))
            }));
        }
        let mut names = Vec::new();
        let modules = modules.into_iter().map(|(name, functions)| {
            let functions = functions.into_iter().map(|(function, full_name)| {
                names.push(full_name);
                function
            });
            HostModule { name, functions: functions.collect(), keeps_types: false }
        });
        (modules.collect(), names)
    }

    /// Returns the functions that a role may call, in the order of their names.
    pub(super) fn permitted(&self, role: &Role) -> impl Iterator<Item = &CircleFunction> {
        self.functions.values().map(|function| &**function).filter(|function| role.may_call(&function.signature.name))
    }
}

/// Returns the name under which callers know a function: the function with the name of its file has that name alone.
pub(super) fn public_name(file: &str, function: &str) -> String {
    if file == function { file.to_owned() } else { format!("{file}.{function}") }
}

fn parse(file: &FunctionFile, declared: &DeclaredFunction) -> Result<Signature, Vec<FunctionFault>> {
    let path = PathBuf::from(&file.path);
    let name = public_name(&file.name, &declared.name);
    let name: FunctionName = name.parse().map_err(|error| {
        let message =
            format!("'{name}' is not the name of a function of a circle: {error}; make it private or rename it");
        vec![FunctionFault::at(path.clone(), &file.source, declared.line, 1, message)]
    })?;
    Signature::parse(name, &declared.params, &declared.doc)
        .map_err(|errors| errors.iter().map(|error| tag_fault(&path, file, declared, error)).collect())
}

/// Returns a mistake in a doc comment, at its place in the file.
fn tag_fault(path: &Path, file: &FunctionFile, declared: &DeclaredFunction, error: &TagError) -> FunctionFault {
    let line = declared.doc_line + u32::try_from(error.line).unwrap_or_default();
    let in_doc = declared.doc.lines().nth(error.line).unwrap_or_default();
    let in_file = file.source.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
    // The line of the file has the mark of the comment before the text.
    let before = in_file.find(in_doc).map_or(0, |at| in_file[..at].chars().count());
    let column = u32::try_from(before + error.column + 1).unwrap_or(1);
    FunctionFault::at(path.to_owned(), &file.source, line, column, error.message.clone())
}

fn file_fault(files: &[FunctionFile], error: &FunctionFileError) -> FunctionFault {
    let file = &files[error.file];
    match error.position {
        Some(position) => {
            FunctionFault::at((&file.path).into(), &file.source, position.line, position.column, error.message.clone())
        }
        None => FunctionFault::of_file((&file.path).into(), error.message.clone()),
    }
}
