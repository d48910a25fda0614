//! Evaluates a script again and again for some time, and prints the median of the seconds that it took:
//! `plain-rhai SECONDS SCRIPT VALUE`. The engine has no limits; VALUE is what the script must evaluate to.

use std::time::{Duration, Instant};

use rhai::{Dynamic, Engine};

type BoxError = Box<dyn std::error::Error>;

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seconds, script, value] = &arguments[..] else {
        return Err("expected SECONDS, SCRIPT and VALUE".into());
    };
    let end = Instant::now() + Duration::try_from_secs_f64(seconds.parse()?)?;
    let engine = Engine::new();
    let mut times = Vec::new();
    while times.is_empty() || Instant::now() < end {
        let start = Instant::now();
        let result = engine.eval::<Dynamic>(script)?;
        times.push(start.elapsed());
        if result.to_string() != *value {
            return Err(format!("the script evaluates to {result}").into());
        }
    }
    times.sort();
    println!("{}", times[times.len() / 2].as_secs_f64());
    Ok(())
}
