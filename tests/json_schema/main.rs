//! Property test: `Type::check` and a JSON Schema validator accept the same values. A case is a type with values near it.
//!
//! `CIRCLES_SCHEMA_CASES=100000` sets the number of cases, and `CIRCLES_SCHEMA_SEED=7` the seed.

mod generate;

use std::{cell::RefCell, env};

use functions::signature::Type;
use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner},
};
use serde_json::Value;

use generate::Choices;

/// Default number of types.
const CASES: u32 = 5_000;

/// Number of values for each type.
const VALUES: usize = 8;

#[derive(Debug, Default)]
struct Outcomes {
    accepted: u64,
    refused: u64,
}

fn main() {
    let cases = number("CIRCLES_SCHEMA_CASES").unwrap_or(CASES);
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(number("CIRCLES_SCHEMA_SEED").unwrap_or(1).into()),
        failure_persistence: None,
        max_shrink_iters: 10_000,
        ..Config::default()
    };
    let outcomes = RefCell::new(Outcomes::default());
    let choices = (vec(any::<u16>(), 0..40), vec(vec(any::<u16>(), 0..80), VALUES));
    let result = TestRunner::new(config).run(&choices, |(of_type, of_values)| {
        let subject = generate::generate_type(&mut Choices::new(&of_type), 0);
        let values = of_values.iter().map(|choices| generate::generate_value(&subject, &mut Choices::new(choices)));
        check(&subject, values, &mut outcomes.borrow_mut()).map_err(TestCaseError::fail)
    });
    let outcomes = outcomes.into_inner();
    println!("{cases} types: {outcomes:?}");
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => panic!("{reason}"),
        Err(error) => panic!("{error}"),
    }
    // A test of values that are all accepted, or all refused, would show nothing.
    let total = outcomes.accepted + outcomes.refused;
    assert!(outcomes.accepted * 5 > total && outcomes.refused * 5 > total, "{outcomes:?}");
    println!("test result: ok. 1 passed; 0 failed; types and JSON Schemas accept the same values");
}

fn check(subject: &Type, values: impl Iterator<Item = Value>, outcomes: &mut Outcomes) -> Result<(), String> {
    let text = subject.to_string();
    if text.parse::<Type>().as_ref() != Ok(subject) {
        return Err(format!("{text} parses to {:?}, not {subject:?}", text.parse::<Type>()));
    }
    let schema = subject.json_schema();
    if !jsonschema::draft202012::meta::is_valid(&schema) {
        return Err(format!("{text}: invalid schema {schema}"));
    }
    let validator = jsonschema::draft202012::new(&schema).map_err(|error| format!("{text}: {schema}: {error}"))?;
    for value in values {
        let checked = subject.check(&value);
        if checked.is_ok() != validator.is_valid(&value) {
            return Err(format!("{text}: {value}: {checked:?}, but the schema is {schema}"));
        }
        let converted = subject.convert(&value);
        if converted.as_ref().err() != checked.as_ref().err() {
            return Err(format!("{text}: {value}: {checked:?}, but it converts to {converted:?}"));
        }
        match converted {
            // What a value converts to has the type, too.
            Ok(typed) => match subject.check(&typed.to_json()) {
                Ok(()) => outcomes.accepted += 1,
                Err(mismatch) => return Err(format!("{text}: {value} becomes {typed:?}: {mismatch}")),
            },
            Err(mismatch) if mismatch.reason.len() > 2000 || mismatch.path.len() > 1000 => {
                return Err(format!("{text}: {value}: unbounded {mismatch:?}"));
            }
            Err(_) => outcomes.refused += 1,
        }
    }
    Ok(())
}

fn number(variable: &str) -> Option<u32> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value}")))
}
