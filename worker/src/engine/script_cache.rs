//! Parsed scripts, kept for the next time that the same text is played: a dashboard or a monitor plays one over and over.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use rhai::{AST, Engine, ParseError};

use super::compile::compile;

/// Scripts that are kept.
const MAX_SCRIPTS: usize = 32;

/// Bytes of their texts together, at the most.
const MAX_BYTES: usize = 64 << 10;

/// One byte of text may be kept for so many bytes of the session's memory: parsed, it takes 40 to 100 of them, and 400 where
/// someone means it to.
const MEMORY_SHARE: u64 = 1024;

/// Scripts that are known to have been played, by their hashes.
const MAX_SEEN: usize = 64;

/// Parsing takes 30 ns a byte, finding what was parsed less than 0.2. A script is kept at the second time that it is played, so that one which is played once costs a hash of its text and no
/// memory. What does not parse is not kept.
#[derive(Debug)]
pub(crate) struct ScriptCache {
    max_bytes: usize,
    /// The one played last is the last.
    cached: VecDeque<CachedScript>,
    bytes: usize,
    seen: VecDeque<u64>,
}

#[derive(Debug)]
struct CachedScript {
    hash: u64,
    script: Box<str>,
    /// Shared, because a copy of it is a copy of all of its parts.
    ast: Rc<AST>,
}

impl ScriptCache {
    /// `memory`: bytes that the session may have.
    pub(crate) fn new(memory: u64) -> Self {
        let max_bytes = usize::try_from(memory / MEMORY_SHARE).unwrap_or(MAX_BYTES).min(MAX_BYTES);
        Self { max_bytes, cached: VecDeque::new(), bytes: 0, seen: VecDeque::new() }
    }

    /// The parsed script.
    pub(crate) fn compile(&mut self, engine: &Engine, script: &str) -> Result<Rc<AST>, ParseError> {
        if script.len() > self.max_bytes {
            return compile(engine, script).map(Rc::new);
        }
        let mut hasher = DefaultHasher::new();
        script.hash(&mut hasher);
        let hash = hasher.finish();
        // The text decides: a script can be made to have another's hash.
        if let Some(at) = self.cached.iter().position(|cached| cached.hash == hash && &*cached.script == script)
            && let Some(cached) = self.cached.remove(at)
        {
            let ast = cached.ast.clone();
            self.cached.push_back(cached);
            return Ok(ast);
        }
        let ast = Rc::new(compile(engine, script)?);
        if self.seen.contains(&hash) {
            self.keep(CachedScript { hash, script: script.into(), ast: ast.clone() });
        } else {
            self.seen.push_back(hash);
            if self.seen.len() > MAX_SEEN {
                self.seen.pop_front();
            }
        }
        Ok(ast)
    }

    fn keep(&mut self, cached: CachedScript) {
        self.bytes += cached.script.len();
        self.cached.push_back(cached);
        while self.bytes > self.max_bytes || self.cached.len() > MAX_SCRIPTS {
            let Some(oldest) = self.cached.pop_front() else { break };
            self.bytes -= oldest.script.len();
        }
    }

    /// Gives back what it holds.
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

    /// Whether it was parsed for this.
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
    fn script_with_parse_error_is_not_cached() {
        let (engine, mut cache) = cache();
        let errors = [(); 3].map(|()| cache.compile(&engine, "let = 1").expect_err("it does not parse"));
        assert!(errors.iter().all(|error| *error == errors[0]) && cache.cached.is_empty());
    }
}
