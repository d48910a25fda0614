//! Types, and values near them, from a list of choices. No more choices is always the first one, so lists minimize well.

use base64::{Engine, engine::general_purpose::STANDARD};
use functions::signature::{Literal, Property, Range, Type};
use serde_json::{Map, Number, Value, json};

/// Integers at which implementations differ.
const INTEGERS: [i64; 14] =
    [0, 1, -1, 2, 3, 10, -10, 100, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1, i64::MAX, i64::MIN];

/// Numbers at which implementations differ.
const FLOATS: [f64; 14] = [
    0.0,
    1.0,
    -1.0,
    0.5,
    2.5,
    -2.5,
    1e-9,
    100.0,
    9_007_199_254_740_992.0,
    9_223_372_036_854_775_808.0,
    -9_223_372_036_854_775_808.0,
    18_446_744_073_709_551_616.0,
    1e300,
    -1e300,
];

const TEXTS: [&str; 12] =
    ["", "a", "open", "tea", "é", "e\u{301}", "😀", "a\nb", "\u{0}", "QQ==", "QUI=", "a \"quoted\" \\ text"];

const NAMES: [&str; 8] = ["a", "b", "order", "content-type", "", "é", "a b", "__proto__"];

/// Characters of generated texts, some of several bytes or UTF-16 units.
const CHARACTERS: [char; 8] = ['a', 'B', '0', 'é', '😀', '\u{301}', '\n', '"'];

pub(crate) struct Choices<'a> {
    choices: std::slice::Iter<'a, u16>,
}

impl<'a> Choices<'a> {
    pub(crate) fn new(choices: &'a [u16]) -> Self {
        Self { choices: choices.iter() }
    }

    /// Chooses a number below `count`.
    fn choose(&mut self, count: usize) -> usize {
        usize::from(self.choices.next().copied().unwrap_or_default()) % count
    }

    fn is_one_in(&mut self, count: usize) -> bool {
        self.choose(count) == count - 1
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.choose(list.len())].clone()
    }
}

fn sizes(choices: &mut Choices<'_>) -> Range<u64> {
    let start = choices.choose(6) as u64;
    match choices.choose(4) {
        0 => Range::FULL,
        1 => Range { start: Some(start), end: None },
        2 => Range { start: None, end: Some(start) },
        _ => Range { start: Some(start), end: Some(start + choices.choose(5) as u64) },
    }
}

fn bounds<T: PartialOrd + Copy>(choices: &mut Choices<'_>, list: &[T]) -> Range<T> {
    let (one, other) = (choices.pick(list), choices.pick(list));
    let (start, end) = if one <= other { (one, other) } else { (other, one) };
    match choices.choose(4) {
        0 => Range::FULL,
        1 => Range { start: Some(start), end: None },
        2 => Range { start: None, end: Some(end) },
        _ => Range { start: Some(start), end: Some(end) },
    }
}

fn literal(choices: &mut Choices<'_>) -> Literal {
    match choices.choose(4) {
        0 => Literal::String(choices.pick(&TEXTS).to_owned()),
        1 => Literal::Int(choices.pick(&INTEGERS)),
        2 => Literal::Float(choices.pick(&FLOATS)),
        _ => Literal::Bool(choices.choose(2) == 1),
    }
}

pub(crate) fn generate_type(choices: &mut Choices<'_>, depth: usize) -> Type {
    // The inner types come last, and not at the deepest level.
    match choices.choose(if depth < 3 { 14 } else { 8 }) {
        0 => Type::String { range: sizes(choices) },
        1 => Type::Int { range: bounds(choices, &INTEGERS) },
        2 => Type::Float { range: bounds(choices, &FLOATS) },
        3 => Type::Bool,
        4 => Type::Blob { range: sizes(choices) },
        5 => Type::Unit,
        6 => Type::Literal(literal(choices)),
        7 => Type::Any,
        8 | 9 => Type::Array { item: Box::new(generate_type(choices, depth + 1)), range: sizes(choices) },
        10 => Type::Values(Box::new(generate_type(choices, depth + 1))),
        11 => {
            let mut properties: Vec<Property> = Vec::new();
            for _ in 0..choices.choose(4) {
                let name = choices.pick(&NAMES).to_owned();
                let is_optional = choices.choose(2) == 1;
                let property = Property { name, r#type: generate_type(choices, depth + 1), is_optional };
                if properties.iter().all(|other| other.name != property.name) {
                    properties.push(property);
                }
            }
            Type::Map(properties)
        }
        _ => {
            let mut members = Vec::new();
            for _ in 0..2 + choices.choose(3) {
                match generate_type(choices, depth + 1) {
                    Type::Union(inner) => members.extend(inner),
                    member => members.push(member),
                }
            }
            let mut distinct: Vec<Type> = Vec::new();
            for member in members {
                if !distinct.contains(&member) {
                    distinct.push(member);
                }
            }
            if distinct.len() == 1 { distinct.remove(0) } else { Type::Union(distinct) }
        }
    }
}

/// A size within a range, or one off.
fn size_near(range: &Range<u64>, choices: &mut Choices<'_>) -> usize {
    let start = range.start.unwrap_or_default();
    let end = range.end.unwrap_or(start + 3);
    let size = match choices.choose(6) {
        0 => start,
        1 => end,
        2 => u64::midpoint(start, end),
        3 => end + 1,
        4 => start.saturating_sub(1),
        _ => choices.choose(8) as u64,
    };
    usize::try_from(size).expect("small")
}

fn integer_near(range: &Range<i64>, choices: &mut Choices<'_>) -> Value {
    let near = match choices.choose(4) {
        0 => range.start.or(range.end).unwrap_or_default(),
        1 => range.end.or(range.start).unwrap_or_default(),
        2 => i64::midpoint(range.start.unwrap_or_default(), range.end.unwrap_or_default()),
        _ => choices.pick(&INTEGERS),
    };
    let near = match choices.choose(4) {
        0 | 1 => near,
        2 => near.saturating_add(1),
        _ => near.saturating_sub(1),
    };
    match choices.choose(5) {
        // The value as a number with a fraction of zero, and with another.
        3 => json!(near as f64),
        4 => json!(near as f64 + 0.5),
        _ => json!(near),
    }
}

fn float_near(range: &Range<f64>, choices: &mut Choices<'_>) -> Value {
    let near = match choices.choose(4) {
        0 => range.start.or(range.end).unwrap_or_default(),
        1 => range.end.or(range.start).unwrap_or_default(),
        2 => f64::midpoint(range.start.unwrap_or_default(), range.end.unwrap_or_default()),
        _ => choices.pick(&FLOATS),
    };
    match choices.choose(6) {
        3 => json!(near.next_up()),
        4 => json!(near.next_down()),
        // As an integer, which saturates, and its neighbour, which `f64` may not tell from it.
        5 if near >= 0.0 => json!((near as u64).saturating_add(choices.choose(2) as u64)),
        5 => json!((near as i64).saturating_sub(choices.choose(2) as i64)),
        _ => json!(near),
    }
}

fn text_near(range: &Range<u64>, choices: &mut Choices<'_>) -> Value {
    let size = size_near(range, choices);
    (0..size).map(|_| choices.pick(&CHARACTERS)).collect::<String>().into()
}

fn base64_near(range: &Range<u64>, choices: &mut Choices<'_>) -> Value {
    let bytes: Vec<u8> = (0..size_near(range, choices)).map(|_| choices.choose(256) as u8).collect();
    let mut text = STANDARD.encode(bytes);
    match choices.choose(12) {
        7 => text = text.trim_end_matches('=').to_owned(),
        8 => text.push('='),
        9 => text.push('\n'),
        10 => text = text.replace(['A', '/', '+'], "_"),
        // Other bits than zero where no byte is.
        11 => {
            let last = text.trim_end_matches('=').len().saturating_sub(1);
            if !text.is_empty() {
                text.replace_range(last..=last, choices.pick(&["A", "B", "Q", "E", "8", "9"]));
            }
        }
        _ => {}
    }
    text.into()
}

/// A value of any kind.
fn any_value(choices: &mut Choices<'_>) -> Value {
    match choices.choose(10) {
        0 => Value::Null,
        1 => json!(choices.choose(2) == 1),
        2 => json!(choices.pick(&INTEGERS)),
        3 => json!(choices.pick(&FLOATS)),
        4 => json!(u64::MAX - choices.choose(2) as u64),
        5 => json!((1_u64 << 63) + choices.choose(2) as u64),
        6 => json!(choices.pick(&TEXTS)),
        7 => json!([choices.pick(&INTEGERS), choices.pick(&TEXTS)]),
        8 => json!({ choices.pick(&NAMES): choices.pick(&FLOATS) }),
        _ => choices.pick(&[json!([]), json!({}), json!([[]]), json!(""), json!(-0.0)]),
    }
}

/// A value that a type accepts, or that differs in a detail.
pub(crate) fn generate_value(subject: &Type, choices: &mut Choices<'_>) -> Value {
    if choices.is_one_in(20) {
        return any_value(choices);
    }
    match subject {
        Type::String { range } => text_near(range, choices),
        Type::Int { range } => integer_near(range, choices),
        Type::Float { range } => float_near(range, choices),
        Type::Bool => json!(choices.choose(2) == 1),
        Type::Blob { range } => base64_near(range, choices),
        Type::Unit => Value::Null,
        Type::Any => any_value(choices),
        Type::Literal(Literal::String(text)) => match choices.choose(3) {
            2 => json!(choices.pick(&TEXTS)),
            _ => json!(text),
        },
        Type::Literal(Literal::Int(value)) => integer_near(&Range { start: Some(*value), end: Some(*value) }, choices),
        Type::Literal(Literal::Float(value)) => float_near(&Range { start: Some(*value), end: Some(*value) }, choices),
        Type::Literal(Literal::Bool(value)) => json!(*value != choices.is_one_in(3)),
        Type::Array { item, range } => (0..size_near(range, choices)).map(|_| generate_value(item, choices)).collect(),
        Type::Values(value) => {
            let members = (0..choices.choose(4)).map(|_| {
                let name = choices.pick(&NAMES).to_owned();
                (name, generate_value(value, choices))
            });
            Value::Object(members.collect())
        }
        Type::Map(properties) => {
            let mut members = Map::new();
            for property in properties {
                match choices.choose(10) {
                    7 if property.is_optional => {}
                    8 => {}
                    9 => drop(members.insert(property.name.clone(), Value::Null)),
                    _ => drop(members.insert(property.name.clone(), generate_value(&property.r#type, choices))),
                }
            }
            if choices.is_one_in(10) {
                members.insert(choices.pick(&NAMES).to_owned(), Value::Number(Number::from(1)));
            }
            Value::Object(members)
        }
        Type::Union(members) => {
            let member = choices.pick(members);
            generate_value(&member, choices)
        }
    }
}
