//! The tags of doc comments.

mod block;
#[cfg(test)]
mod tests;

use super::{
    FunctionName, Type, Value,
    arguments::META,
    text::{did_you_mean, excerpt},
};

use block::{Block, blocks};

/// Maximum of `@timeout` and `_meta.timeout_ms`, in milliseconds: a day.
pub(super) const MAX_TIMEOUT_MS: u64 = 86_400_000;

/// Maximum number of errors in one doc comment that [`Signature::parse`] reports.
const MAX_ERRORS: usize = 32;

const TAGS: [&str; 6] = ["param", "returns", "throws", "readonly", "timeout", "deprecated"];

/// Tags that other tools have for the same thing.
const SYNONYMS: [(&str, &str); 7] = [
    ("return", "returns"),
    ("result", "returns"),
    ("throw", "throws"),
    ("exception", "throws"),
    ("arg", "param"),
    ("argument", "param"),
    ("pure", "readonly"),
];

/// What a function is called, takes, returns and throws.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Signature {
    /// Name.
    pub name: FunctionName,
    /// The doc comment's text above its tags.
    pub doc: String,
    /// Parameters, in the function's order. Optional ones come last.
    pub params: Vec<Parameter>,
    /// Result. Without `@returns`, the type is `any`.
    pub returns: Described,
    /// Values that the function throws deliberately.
    pub throws: Vec<Described>,
    /// Whether the function promises not to change anything (`@readonly`).
    pub is_readonly: bool,
    /// Timeout of one call, in milliseconds: 1 to 86,400,000.
    pub timeout_ms: Option<u64>,
    /// What to use instead, if the function is deprecated. May be empty.
    pub deprecated: Option<String>,
    is_typed: bool,
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Type: `any` without a `@param` tag that has one.
    pub r#type: Type,
    /// Whether a call may leave the parameter out.
    pub is_optional: bool,
    /// The value without an argument; `()` if there is no default.
    pub default: Option<Value>,
    /// Documentation.
    pub doc: String,
}

/// A type with its documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// Type.
    pub r#type: Type,
    /// Documentation.
    pub doc: String,
}

/// An invalid tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TagError {
    /// Line of the doc comment, from 0.
    pub line: usize,
    /// Column in that line, from 0, in characters.
    pub column: usize,
    /// What is invalid, and what to write.
    pub message: String,
}

impl Signature {
    /// Maximum size of a doc comment, in bytes.
    pub const MAX_DOC_BYTES: usize = 16 << 10;
    /// Maximum number of parameters.
    pub const MAX_PARAMS: usize = 64;

    /// Parses a signature from the names of the parameters and the doc comment, whose lines have no `///`.
    ///
    /// | tag | meaning |
    /// | --- | --- |
    /// | `@param {TYPE} NAME - TEXT` | a parameter; in the function's order |
    /// | `@param {TYPE} [NAME] - TEXT` | an optional one: `()` if it is absent or null |
    /// | `@param {TYPE} [NAME=JSON] - TEXT` | an optional one with a default of its type |
    /// | `@returns {TYPE} TEXT` | the result |
    /// | `@throws {TYPE} TEXT` | a value that the function throws; several are allowed |
    /// | `@readonly` | the function changes nothing |
    /// | `@timeout 500`, `@timeout 500 ms`, `@timeout 2 s` | timeout of one call; milliseconds without a unit |
    /// | `@deprecated TEXT` | what to use instead |
    ///
    /// A tag starts its line and extends to the next tag. Lines of a block of code are never tags. What
    /// has no tag, or a tag without `{TYPE}`, has the type `any`. Optional parameters follow the required ones, since
    /// parameters by position can leave out only the last ones.
    ///
    /// # Errors
    ///
    /// All errors in the doc comment, at most 32, in the order of their lines.
    pub fn parse(name: FunctionName, params: &[String], doc: &str) -> Result<Self, Vec<TagError>> {
        if doc.len() > Self::MAX_DOC_BYTES {
            let (bytes, max) = (doc.len(), Self::MAX_DOC_BYTES);
            let message = format!("the doc comment has {bytes} bytes, at most {max} are allowed: shorten the comment");
            return Err(vec![TagError { line: 0, column: 0, message }]);
        }
        let mut reader = TagReader::new(params);
        if params.len() > Self::MAX_PARAMS {
            let message = format!(
                "the function has {} parameters, at most {} are allowed: take a map",
                params.len(),
                Self::MAX_PARAMS
            );
            reader.errors.push(TagError { line: 0, column: 0, message });
        }
        if params.iter().any(|param| param == META) {
            let message = format!("{META} is reserved for requests: rename the parameter");
            reader.errors.push(TagError { line: 0, column: 0, message });
        }
        let (text, blocks) = match blocks(doc) {
            Ok(parts) => parts,
            Err(error) => return Err(vec![error]),
        };
        for block in blocks {
            if reader.errors.len() >= MAX_ERRORS {
                break;
            }
            if let Err(error) = reader.read(block) {
                reader.errors.push(error);
            }
        }
        reader.check_optional_last();
        if !reader.errors.is_empty() {
            reader.errors.sort_by_key(|error| (error.line, error.column));
            return Err(reader.errors);
        }
        Ok(reader.finish(name, params, text))
    }

    /// Reports whether every parameter and the result declare a type, be it `any`.
    pub fn is_typed(&self) -> bool {
        self.is_typed
    }
}

/// A `@param` tag.
struct ParamTag {
    parameter: Parameter,
    has_type: bool,
    /// Line and column of the tag.
    position: (usize, usize),
}

struct TagReader<'a> {
    names: &'a [String],
    params: Vec<Option<ParamTag>>,
    returns: Option<(Described, bool)>,
    throws: Vec<Described>,
    is_readonly: bool,
    timeout_ms: Option<u64>,
    deprecated: Option<String>,
    /// Index of the last `@param` tag's parameter.
    last: Option<usize>,
    errors: Vec<TagError>,
}

impl<'a> TagReader<'a> {
    fn new(names: &'a [String]) -> Self {
        Self {
            names,
            params: names.iter().map(|_| None).collect(),
            returns: None,
            throws: Vec::new(),
            is_readonly: false,
            timeout_ms: None,
            deprecated: None,
            last: None,
            errors: Vec::new(),
        }
    }

    fn read(&mut self, mut block: Block<'_>) -> Result<(), TagError> {
        let tag = block.take_name();
        let repeated = |block: &Block<'_>| block.error_at_tag(format!("@{tag} is there twice: remove one"));
        match tag {
            "param" => return self.read_param(block),
            "returns" => {
                let declared = block.take_type()?;
                let described = Described { doc: block.take_text(), r#type: declared.clone().unwrap_or(Type::Any) };
                if self.returns.replace((described, declared.is_some())).is_some() {
                    return Err(repeated(&block));
                }
            }
            "throws" => {
                let declared = block.take_type()?.unwrap_or(Type::Any);
                self.throws.push(Described { r#type: declared, doc: block.take_text() });
            }
            "readonly" => {
                block.expect_end("@readonly takes no text: put text above the tags")?;
                if std::mem::replace(&mut self.is_readonly, true) {
                    return Err(repeated(&block));
                }
            }
            "timeout" => {
                let timeout = block.take_timeout()?;
                if self.timeout_ms.replace(timeout).is_some() {
                    return Err(repeated(&block));
                }
            }
            "deprecated" => {
                if self.deprecated.replace(block.take_text()).is_some() {
                    return Err(repeated(&block));
                }
            }
            _ => {
                let synonym = SYNONYMS.iter().find(|(other, _)| *other == tag).map(|(_, name)| *name);
                let message = match synonym.or_else(|| did_you_mean(tag, TAGS)) {
                    Some(near) => format!("unknown tag @{}: did you mean @{near}?", excerpt(tag).trim_matches('"')),
                    None => format!(
                        "unknown tag @{}: the tags are @{}; text must not start a line with @",
                        excerpt(tag).trim_matches('"'),
                        TAGS.join(", @")
                    ),
                };
                return Err(block.error_at_tag(message));
            }
        }
        Ok(())
    }

    fn read_param(&mut self, mut block: Block<'_>) -> Result<(), TagError> {
        let declared = block.take_type()?;
        let has_type = declared.is_some();
        let (parameter, name_offset) = block.take_parameter(declared.unwrap_or(Type::Any))?;
        let name = &parameter.name;
        let Some(index) = self.names.iter().position(|known| known == name) else {
            let names = self.names.iter().map(|name| &**name);
            let message = match did_you_mean(name, names) {
                Some(near) => format!("unknown parameter {}: did you mean {near}?", excerpt(name)),
                None if self.names.is_empty() => {
                    format!("unknown parameter {}: the function has none, so remove the tag", excerpt(name))
                }
                None => format!(
                    "unknown parameter {}: the parameters are {}",
                    excerpt(name),
                    super::text::truncate(&self.names.join(", "), 200)
                ),
            };
            return Err(block.error_at(name_offset, message));
        };
        if self.params[index].is_some() {
            return Err(block.error_at(name_offset, format!("@param {name} is there twice: remove one")));
        }
        if let Some(last) = self.last.filter(|last| index < *last) {
            let message = format!(
                "the function has {name} before {}: put the tags in the order of the parameters",
                self.names[last]
            );
            return Err(block.error_at(name_offset, message));
        }
        self.last = Some(index);
        self.params[index] = Some(ParamTag { parameter, has_type, position: block.position() });
        Ok(())
    }

    /// A required parameter after an optional one could not be reached by position without the optional one.
    fn check_optional_last(&mut self) {
        let mut optional = None;
        for (name, tag) in self.names.iter().zip(&self.params) {
            if let Some(tag) = tag.as_ref().filter(|tag| tag.parameter.is_optional) {
                optional = Some(tag);
            } else if let Some(before) = optional {
                let (line, column) = tag.as_ref().unwrap_or(before).position;
                let message = format!(
                    "the required parameter {name} follows the optional {}: write [{name}], or make {} required",
                    before.parameter.name, before.parameter.name
                );
                self.errors.push(TagError { line, column, message });
                return;
            }
        }
    }

    fn finish(self, name: FunctionName, names: &[String], doc: String) -> Signature {
        let is_typed = self.params.iter().all(|tag| tag.as_ref().is_some_and(|tag| tag.has_type))
            && self.returns.as_ref().is_some_and(|(_, has_type)| *has_type);
        let parameter = |(name, tag): (&String, Option<ParamTag>)| {
            tag.map_or_else(
                || Parameter {
                    name: name.clone(),
                    r#type: Type::Any,
                    is_optional: false,
                    default: None,
                    doc: String::new(),
                },
                |tag| tag.parameter,
            )
        };
        Signature {
            name,
            doc,
            params: names.iter().zip(self.params).map(parameter).collect(),
            returns: self.returns.map_or(Described { r#type: Type::Any, doc: String::new() }, |(returns, _)| returns),
            throws: self.throws,
            is_readonly: self.is_readonly,
            timeout_ms: self.timeout_ms,
            deprecated: self.deprecated,
            is_typed,
        }
    }
}
