//! What function files declare, found without evaluating them.

use std::collections::HashMap;

use rhai::{AST, Engine, FnAccess};

use super::declarations::{Declaration, declarations};
use crate::{
    engine,
    message::{FunctionFile, Position, WorkerLimits},
};

/// A function that a [`FunctionFile`] declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredFunction {
    /// Index of the file.
    pub file: usize,
    /// The function's name.
    pub name: String,
    /// The names of the parameters.
    pub params: Vec<String>,
    /// Whether only functions of the same file can call the function.
    pub is_private: bool,
    /// The documentation: the lines of the doc comments without their marks, and an empty line for each line of the file
    /// between them.
    pub doc: String,
    /// The line of the file that has the first line of the documentation, from 1. Each further line of the
    /// documentation is one line below. Without documentation, the line of `fn`.
    pub doc_line: u32,
    /// The line of `fn` in the file, from 1.
    pub line: u32,
}

/// An error in a [`FunctionFile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionFileError {
    /// Index of the file.
    pub file: usize,
    /// What is wrong.
    pub message: String,
    /// The position in the file.
    pub position: Option<Position>,
}

impl std::fmt::Display for FunctionFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match self.position {
            Some(Position { line, column }) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FunctionFileError {}

/// Lists the functions of files in the order of their declarations. It only parses the files.
///
/// The list does not have functions for values of one type (`fn int.double()`), which only the same file can call.
///
/// # Errors
///
/// Returns all errors of all files: a file that does not parse, a function name that a file declares twice (whatever the
/// number of parameters), a public function with more than 16 parameters, a file whose name is not an identifier or is
/// the name of another file.
pub fn inspect_functions(
    files: &[FunctionFile],
    limits: &WorkerLimits,
) -> Result<Vec<DeclaredFunction>, Vec<FunctionFileError>> {
    let parsed = parse_function_files(&engine::parser(limits), files)?;
    Ok(parsed.into_iter().flat_map(|file| file.functions).collect())
}

/// Maximum number of parameters of a public function: Rhai does not find a native function with more of them.
const MAX_PARAMS: usize = 16;

/// A function file that parses.
pub(crate) struct ParsedFile {
    pub(crate) ast: AST,
    pub(crate) functions: Vec<DeclaredFunction>,
}

/// Parses function files.
pub(crate) fn parse_function_files(
    engine: &Engine,
    files: &[FunctionFile],
) -> Result<Vec<ParsedFile>, Vec<FunctionFileError>> {
    let (mut parsed, mut errors, mut paths) = (Vec::new(), Vec::new(), HashMap::new());
    for (index, file) in files.iter().enumerate() {
        let error = |message| FunctionFileError { file: index, message, position: None };
        if engine.compile(format!("m::{}::f()", file.name)).is_err() || !rhai::is_valid_identifier(&file.name) {
            errors
                .push(error(format!("'{}' is not an identifier of Rhai, or is a keyword: rename the file", file.name)));
        } else if let Some(other) = paths.insert(file.name.as_str(), &file.path) {
            errors.push(error(format!("{other} has the same name: rename one of the files")));
        }
        match parse(engine, index, file) {
            Ok(file) => parsed.push(file),
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() { Ok(parsed) } else { Err(errors) }
}

fn parse(engine: &Engine, index: usize, file: &FunctionFile) -> Result<ParsedFile, Vec<FunctionFileError>> {
    let declared = declarations(&file.source);
    let mut errors: Vec<_> = duplicates(&declared)
        .map(|(message, line)| FunctionFileError { file: index, message, position: Some(Position { line, column: 1 }) })
        .collect();
    let too_many = |found: &Declaration<'_>| FunctionFileError {
        file: index,
        message: format!(
            "the function '{}' has more than {MAX_PARAMS} parameters: pass some of them together as a map",
            found.name
        ),
        position: Some(Position { line: found.line, column: 1 }),
    };
    let mut ast = match engine::compile(engine, &file.source) {
        Ok(ast) if errors.is_empty() => ast,
        Ok(_) => return Err(errors),
        Err(error) => {
            let is_duplicate = matches!(error.err_type(), rhai::ParseErrorType::FnDuplicatedDefinition(..));
            // The error of the duplicate names both lines.
            if errors.is_empty() || !is_duplicate {
                let message = engine::parse_message(&error);
                errors.push(FunctionFileError {
                    file: index,
                    message,
                    position: engine::to_position(error.position()),
                });
            }
            return Err(errors);
        }
    };
    ast.set_source(file.path.as_str());
    let mut functions = Vec::new();
    for found in declared.into_iter().filter(|found| !found.is_typed) {
        let is_found =
            |function: &&rhai::Shared<rhai::ScriptFuncDef>| function.this_type.is_none() && function.name == found.name;
        let Some(function) = ast.iter_fn_def().find(is_found) else { continue };
        let is_private = function.access == FnAccess::Private;
        if !is_private && function.params.len() > MAX_PARAMS {
            errors.push(too_many(&found));
        }
        functions.push(DeclaredFunction {
            file: index,
            name: found.name.to_owned(),
            params: function.params.iter().map(ToString::to_string).collect(),
            is_private,
            doc: found.doc,
            doc_line: found.doc_line,
            line: found.line,
        });
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(ParsedFile { ast, functions })
}

/// The functions whose names are declared before, with the lines of both.
fn duplicates<'d>(declared: &'d [Declaration<'_>]) -> impl Iterator<Item = (String, u32)> + 'd {
    let mut seen: HashMap<&str, u32> = HashMap::new();
    declared.iter().filter(|found| !found.is_typed).filter_map(move |found| {
        let Declaration { name, line, .. } = found;
        let Some(first) = seen.get(name) else {
            seen.insert(name, *line);
            return None;
        };
        let message = format!(
            "the function '{name}' is declared twice, on line {first} and on line {line}: a file has one function of a \
             name, whatever the number of parameters"
        );
        Some((message, *line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(sources: &[(&str, &str)]) -> Result<Vec<DeclaredFunction>, Vec<FunctionFileError>> {
        let file = |(name, source): &(&str, &str)| FunctionFile {
            name: (*name).into(),
            path: format!("{name}.rhai"),
            source: (*source).into(),
        };
        inspect_functions(&sources.iter().map(file).collect::<Vec<_>>(), &WorkerLimits::default())
    }

    #[test]
    fn functions_are_listed_in_order_of_declaration() {
        let order = "/// Orders.\n/// @param {int} n\nfn place(n, item) { z() }\nprivate fn a() {}\nfn int.twice() {}\nfn z() {}";
        let found = inspect(&[("order", order), ("b", "fn b() {}")]).expect("the files parse");
        let listed: Vec<_> =
            found.iter().map(|f| (f.file, f.name.as_str(), f.is_private, f.line, f.doc_line)).collect();
        let expected = [(0, "place", false, 3, 1), (0, "a", true, 4, 4), (0, "z", false, 6, 6), (1, "b", false, 1, 1)];
        assert_eq!(listed, expected);
        assert_eq!(
            (found[0].doc.as_str(), found[0].params.as_slice()),
            ("Orders.\n@param {int} n", &["n".into(), "item".into()][..])
        );
    }

    #[test]
    fn all_errors_of_all_files_are_reported() {
        let errors = inspect(&[
            ("good", "fn good() {}"),
            ("parse", "fn f() {\n  let = 1;\n}"),
            ("twice", "fn f() {}\nfn g() {}\nprivate fn f(x) {}\nfn g() {}"),
            ("deep", &format!("fn f() {{ {}1{} }}", "(".repeat(100), ")".repeat(100))),
            ("evals", "fn f() { eval(\"1\") }"),
            ("many", "fn many(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q) {}"),
            ("if", ""),
            ("a-b", ""),
            ("good", ""),
        ])
        .expect_err("there are errors");
        let shown: Vec<_> = errors.iter().map(|error| (error.file, error.to_string())).collect();
        let duplicate = |name, first, second| {
            format!(
                "the function '{name}' is declared twice, on line {first} and on line {second}: a file has one function of a \
                 name, whatever the number of parameters (line {second}, column 1)"
            )
        };
        assert_eq!(shown[0], (1, "Expecting name of a variable (line 2, column 7)".into()));
        assert_eq!(shown[1..3], [(2, duplicate("f", 1, 3)), (2, duplicate("g", 2, 4))]);
        let rest: Vec<_> = shown[3..].iter().map(|(file, text)| (*file, &text[..20.min(text.len())])).collect();
        assert_eq!(rest.iter().map(|(file, _)| *file).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8], "{rest:?}");
        assert!(
            shown[7].1.contains("'a-b' is not an identifier") && shown[8].1.contains("good.rhai has the same name")
        );
    }
}
