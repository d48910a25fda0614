//! Names that a text declares, in the blocks that are open at its end.

use super::is_number;
use crate::engine::Token;

/// The maximum number of names.
const MAX_NAMES: usize = 200;

/// A name that a text declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inspection) struct Declared<'t> {
    pub(in crate::inspection) name: &'t str,
    pub(in crate::inspection) kind: DeclaredKind,
    /// The signature of a function.
    pub(in crate::inspection) detail: String,
}

/// Kind of a declared name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inspection) enum DeclaredKind {
    Variable,
    Constant,
    Function,
    Module,
}

/// Returns the declared names, the newest first. Tokens exclude comments.
pub(super) fn declared<'t>(tokens: &[(usize, Token<'t>)]) -> Vec<Declared<'t>> {
    // The names of each open block, and those of the block that opens next: parameters, and variables of loops.
    let mut blocks: Vec<Vec<Declared<'t>>> = vec![Vec::new()];
    let mut next_block: Vec<Declared<'t>> = Vec::new();
    let word = |index: usize| match tokens.get(index) {
        Some((_, Token::Word(word))) if !is_number(word) => Some(*word),
        _ => None,
    };
    for (index, (_, token)) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index)).map(|(_, token)| *token);
        let mut declare = |name, kind| {
            if let Some(block) = blocks.last_mut() {
                block.push(Declared { name, kind, detail: String::new() });
            }
        };
        match token {
            Token::Word(keyword) if before != Some(Token::Dot) => match *keyword {
                "let" => word(index + 1).into_iter().for_each(|name| declare(name, DeclaredKind::Variable)),
                "const" => word(index + 1).into_iter().for_each(|name| declare(name, DeclaredKind::Constant)),
                "as" => word(index + 1).into_iter().for_each(|name| declare(name, DeclaredKind::Module)),
                "fn" => {
                    if let Some(name) = word(index + 1) {
                        let params = list(&tokens[index + 2..], '(', ')');
                        let detail = format!("{name}({})", params.join(", "));
                        if let Some(block) = blocks.last_mut() {
                            block.push(Declared { name, kind: DeclaredKind::Function, detail });
                        }
                        next_block = variables(&params);
                    }
                }
                "for" => {
                    let names = word(index + 1).map_or_else(|| list(&tokens[index + 1..], '(', ')'), |name| vec![name]);
                    next_block = variables(&names);
                }
                "catch" => next_block = variables(&list(&tokens[index + 1..], '(', ')')),
                _ => {}
            },
            // The parameters of a closure, where a value may begin.
            Token::Other('|') if before.is_none_or(|before| matches!(before, Token::Other('(' | ',' | '=' | ':'))) => {
                for name in list(&tokens[index..], '|', '|') {
                    declare(name, DeclaredKind::Variable);
                }
            }
            Token::Other('{') => blocks.push(std::mem::take(&mut next_block)),
            Token::Other('}') if blocks.len() > 1 => {
                blocks.pop();
            }
            _ => {}
        }
    }
    let all = blocks.into_iter().rev().flat_map(|block| block.into_iter().rev());
    all.take(MAX_NAMES).collect()
}

fn variables<'t>(names: &[&'t str]) -> Vec<Declared<'t>> {
    let variable = |name: &&'t str| Declared { name, kind: DeclaredKind::Variable, detail: String::new() };
    names.iter().map(variable).collect()
}

/// Returns the names in a list between brackets; none if the tokens do not begin with one.
fn list<'t>(tokens: &[(usize, Token<'t>)], open: char, close: char) -> Vec<&'t str> {
    let Some(((_, Token::Other(first)), rest)) = tokens.split_first() else { return Vec::new() };
    if *first != open {
        return Vec::new();
    }
    let inner = rest.iter().take_while(|(_, token)| *token != Token::Other(close));
    let inner = inner.map_while(|(_, token)| match token {
        Token::Word(name) => Some(Some(*name)),
        Token::Other(',') => Some(None),
        _ => None,
    });
    inner.flatten().take(MAX_NAMES).collect()
}
