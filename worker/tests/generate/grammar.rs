//! From choices to a script: what each choice takes is the next line of `grammar.txt` that may stand there.

use std::collections::HashMap;

const GRAMMAR: &str = include_str!("grammar.txt");

/// How deep names may stand in each other before the first line of each is taken.
const MAX_DEPTH: usize = 10;

/// Bytes of a script from which on the first line of each name is taken.
const MAX_SCRIPT: usize = 8 << 10;

/// How often something is repeated: a few times, about as deep as anything may be, far deeper.
const REPEATS: &[usize] = &[2, 20, 60, 64, 70, 300, 1000, 5000];

enum GrammarPart {
    Text(&'static str),
    Rule(&'static str),
    LineBreak,
    Repeated { before: &'static str, middle: &'static str, after: &'static str },
}

/// Every name with the ways to write it.
pub(crate) struct Grammar(HashMap<&'static str, Vec<Vec<GrammarPart>>>);

impl Grammar {
    pub(crate) fn new() -> Self {
        let mut rules: HashMap<_, Vec<_>> = HashMap::new();
        for line in GRAMMAR.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            let (name, template) = line.split_once(" = ").unwrap_or_else(|| panic!("no rule: {line}"));
            rules.entry(name).or_default().push(parts(template));
        }
        for part in rules.values().flatten().flatten() {
            if let GrammarPart::Rule(name) = part {
                assert!(rules.contains_key(name), "no rule is named {name}");
            }
        }
        Self(rules)
    }

    /// The script of these choices. Without any it is the simplest, and smaller choices make simpler scripts.
    pub(crate) fn script(&self, choices: &[u16]) -> String {
        let mut writer = ScriptWriter { grammar: self, choices: choices.iter(), script: String::new() };
        writer.write("script", 0);
        writer.script
    }
}

fn parts(template: &'static str) -> Vec<GrammarPart> {
    if let Some(repeated) = template.strip_prefix('×') {
        let mut pieces = repeated.split('…');
        let mut next = || pieces.next().unwrap_or_else(|| panic!("no three pieces: {template}"));
        return vec![GrammarPart::Repeated { before: next(), middle: next(), after: next() }];
    }
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['@', '⏎']) {
        let (text, found) = rest.split_at(at);
        parts.push(GrammarPart::Text(text));
        if let Some(after) = found.strip_prefix('⏎') {
            parts.push(GrammarPart::LineBreak);
            rest = after;
            continue;
        }
        let name = &found[1..];
        let end = name.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        // One alone is itself.
        parts.push(if name.is_empty() { GrammarPart::Text("@") } else { GrammarPart::Rule(name) });
        rest = after;
    }
    parts.push(GrammarPart::Text(rest));
    parts
}

struct ScriptWriter<'a> {
    grammar: &'a Grammar,
    choices: std::slice::Iter<'a, u16>,
    script: String,
}

impl ScriptWriter<'_> {
    fn write(&mut self, name: &str, depth: usize) {
        let ways = &self.grammar.0[name];
        let is_over = depth > MAX_DEPTH || self.script.len() > MAX_SCRIPT;
        let way = if is_over { 0 } else { self.choose(ways.len()) };
        for part in &ways[way] {
            match part {
                GrammarPart::Text(text) => self.script.push_str(text),
                GrammarPart::LineBreak => self.script.push('\n'),
                GrammarPart::Rule(name) => self.write(name, depth + 1),
                GrammarPart::Repeated { before, middle, after } => {
                    let times = REPEATS[self.choose(REPEATS.len())];
                    self.script.push_str(&before.repeat(times));
                    self.script.push_str(middle);
                    self.script.push_str(&after.repeat(times));
                }
            }
        }
    }

    /// One of so many; the first where there is no choice left.
    fn choose(&mut self, of: usize) -> usize {
        (usize::from(*self.choices.next().unwrap_or(&0)) * of) >> u16::BITS
    }
}
