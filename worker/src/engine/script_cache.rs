//! A cache of parsed scripts, for clients that play the same script repeatedly, such as dashboards and monitors.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use rhai::{AST, Engine, ParseError};

use super::compile::compile;

/// Maximum number of cached scripts.
const MAX_SCRIPTS: usize = 32;

/// Maximum size of the texts of all cached scripts, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// Number of bytes of session memory for each byte of cached text. Parsed scripts take 40 to 100 times the size of
/// their text, malicious ones 400 times.
const MEMORY_SHARE: u64 = 1024;

/// Maximum number of remembered hashes of played scripts.
const MAX_SEEN: usize = 64;

/// A cache of parsed scripts, by their text.
///
/// Parsing takes 30 ns a byte, a lookup less than 0.2 ns. A script is cached when it is played for the second time, so
/// that a single play costs only a hash of its text. Scripts with parse errors are not cached.
#[derive(Debug)]
pub(crate) struct ScriptCache {
    max_bytes: usize,
    /// The scripts, most recently played last.
    cached: VecDeque<CachedScript>,
    bytes: usize,
    seen: VecDeque<u64>,
}

#[derive(Debug)]
struct CachedScript {
    hash: u64,
    script: Box<str>,
    /// Shared, because copying an AST copies all of its parts.
    ast: Rc<AST>,
    /// Whether the last play of the script was short.
    was_short: bool,
}

impl ScriptCache {
    /// Creates a cache for a session with a memory limit, in bytes.
    pub(crate) fn new(memory: u64) -> Self {
        let max_bytes = usize::try_from(memory / MEMORY_SHARE).unwrap_or(MAX_BYTES).min(MAX_BYTES);
        Self { max_bytes, cached: VecDeque::new(), bytes: 0, seen: VecDeque::new() }
    }

    /// Parses a script, or returns it from the cache.
    pub(crate) fn compile(&mut self, engine: &Engine, script: &str) -> Result<Rc<AST>, ParseError> {
        if script.len() > self.max_bytes {
            return compile(engine, script).map(Rc::new);
        }
        let mut hasher = DefaultHasher::new();
        script.hash(&mut hasher);
        let hash = hasher.finish();
        // Compare the text too: a script can be constructed to have the hash of another one.
        if let Some(at) = self.cached.iter().position(|cached| cached.hash == hash && &*cached.script == script)
            && let Some(cached) = self.cached.remove(at)
        {
            let ast = cached.ast.clone();
            self.cached.push_back(cached);
            return Ok(ast);
        }
        let ast = Rc::new(compile(engine, script)?);
        if self.seen.contains(&hash) {
            self.keep(CachedScript { hash, script: script.into(), ast: ast.clone(), was_short: false });
        } else {
            self.seen.push_back(hash);
            if self.seen.len() > MAX_SEEN {
                self.seen.pop_front();
            }
        }
        Ok(ast)
    }

    /// Whether the script is cached and its last play was short.
    pub(crate) fn was_short(&self, script: &str) -> bool {
        self.cached.iter().rev().any(|cached| cached.was_short && &*cached.script == script)
    }

    /// Records whether the play of the script that was compiled last was short.
    pub(crate) fn note_play(&mut self, script: &str, was_short: bool) {
        if let Some(cached) = self.cached.back_mut().filter(|cached| &*cached.script == script) {
            cached.was_short = was_short;
        }
    }

    fn keep(&mut self, cached: CachedScript) {
        self.bytes += cached.script.len();
        self.cached.push_back(cached);
        while self.bytes > self.max_bytes || self.cached.len() > MAX_SCRIPTS {
            let Some(oldest) = self.cached.pop_front() else { break };
            self.bytes -= oldest.script.len();
        }
    }

    /// Frees the cached scripts.
    pub(crate) fn clear(&mut self) {
        self.cached = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (Engine, ScriptCache) {
        (Engine::new(), ScriptCache::new(64 << 20))
    }

    /// Whether the cache had to parse the script.
    fn is_parsed(cache: &mut ScriptCache, engine: &Engine, script: &str) -> bool {
        let before = cache.cached.iter().any(|cached| &*cached.script == script);
        cache.compile(engine, script).expect("it parses");
        !before
    }

    #[test]
    fn script_is_cached_on_second_play() {
        let (engine, mut cache) = cache();
        let parsed = [(); 4].map(|()| is_parsed(&mut cache, &engine, "40 + 2"));
        assert_eq!(parsed, [true, true, false, false]);
        let [one, other] = [(); 2].map(|()| cache.compile(&engine, "40 + 2").expect("it parses"));
        assert!(Rc::ptr_eq(&one, &other));
        assert!(is_parsed(&mut cache, &engine, "40 + 3"));
        cache.clear();
        assert!(is_parsed(&mut cache, &engine, "40 + 2") && !is_parsed(&mut cache, &engine, "40 + 2"));
    }

    #[test]
    fn cache_is_bounded_and_evicts_least_recent() {
        let (engine, mut cache) = cache();
        let play = |cache: &mut ScriptCache, script: &str| [(); 2].map(|()| is_parsed(cache, &engine, script));
        for number in 0..100 {
            play(&mut cache, &format!("{number}"));
            play(&mut cache, "\"always\"");
        }
        assert_eq!((cache.cached.len(), cache.seen.len()), (MAX_SCRIPTS, MAX_SEEN));
        assert!(!is_parsed(&mut cache, &engine, "\"always\"") && is_parsed(&mut cache, &engine, "0"));
        for number in 0..20 {
            play(&mut cache, &format!("{number} // {}", "x".repeat(10_000)));
            assert!(cache.bytes <= MAX_BYTES);
        }
        assert_eq!(cache.bytes, cache.cached.iter().map(|cached| cached.script.len()).sum::<usize>());
        let huge = format!("1 // {}", "x".repeat(MAX_BYTES));
        assert_eq!(play(&mut cache, &huge), [true, true]);
        assert!(is_parsed(&mut cache, &engine, &huge));
    }

    #[test]
    fn short_plays_are_remembered_until_a_long_one() {
        let (engine, mut cache) = cache();
        for expected in [false, false, true, true] {
            assert_eq!(cache.was_short("1"), expected);
            cache.compile(&engine, "1").expect("it parses");
            cache.note_play("1", true);
            cache.note_play("2", true);
        }
        cache.note_play("1", false);
        assert!(!cache.was_short("1") && !cache.was_short("2"));
    }

    #[test]
    fn script_with_parse_error_is_not_cached() {
        let (engine, mut cache) = cache();
        let errors = [(); 3].map(|()| cache.compile(&engine, "let = 1").expect_err("it does not parse"));
        assert!(errors.iter().all(|error| *error == errors[0]) && cache.cached.is_empty());
    }
}
