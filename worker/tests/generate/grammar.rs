//! Generation of scripts: each choice selects an alternative of a rule in `grammar.txt`.

use std::collections::HashMap;

const GRAMMAR: &str = include_str!("grammar.txt");

/// Depth of rules from which on the first alternative of each rule is used.
const MAX_DEPTH: usize = 10;

/// Size of a script, in bytes, from which on the first alternative of each rule is used.
const MAX_SCRIPT: usize = 8 << 10;

/// Numbers of repetitions: a few, near the depth limits, and far above them.
const REPEATS: &[usize] = &[2, 20, 60, 64, 70, 300, 1000, 5000];

enum GrammarPart {
    Text(&'static str),
    Rule(&'static str),
    LineBreak,
    Repeated { before: &'static str, middle: &'static str, after: &'static str },
}

/// The rules of the grammar with their alternatives.
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

    /// Generates the script of these choices. Without choices it is the simplest one, and smaller choices make simpler
    /// scripts.
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
        // A single `@` stands for itself.
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
        let alternatives = &self.grammar.0[name];
        let is_over = depth > MAX_DEPTH || self.script.len() > MAX_SCRIPT;
        let chosen = if is_over { 0 } else { self.choose(alternatives.len()) };
        for part in &alternatives[chosen] {
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

    /// Chooses one of a number of alternatives; the first one if no choices are left.
    fn choose(&mut self, count: usize) -> usize {
        (usize::from(*self.choices.next().unwrap_or(&0)) * count) >> u16::BITS
    }
}
