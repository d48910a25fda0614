//! An independent model of roles: what a caller may do, straight from the JSON of the definition. It shares no code with
//! the circle.

use serde_json::{Map, Value, json};

/// The functions of the circle.
pub(crate) const FUNCTIONS: [&str; 9] =
    ["log", "order", "order.place", "order.undo", "orders", "price", "price.list", "stock.count", "stock.set"];

/// The host functions.
pub(crate) const HOST_FUNCTIONS: [(&str, &str); 4] =
    [("depot", "get"), ("depot", "put"), ("mail", "get"), ("mail", "send")];

/// Pseudo-random numbers (`SplitMix64`), so that a seed repeats a case.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("it is below a usize")
    }

    /// Whether an event of this chance in percent happens.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn some_of(&mut self, all: &[&str], max: usize) -> Vec<String> {
        let count = self.below(max + 1);
        (0..count).map(|_| all[self.below(all.len())].to_owned()).collect()
    }
}

/// Returns random roles and members: alice with the keys 1 and 2, and bob with the key 3.
pub(crate) fn random_definition(random: &mut Random) -> Value {
    const CALLS: [&str; 15] = [
        "log",
        "order",
        "order.place",
        "order.undo",
        "orders",
        "price",
        "price.list",
        "stock.count",
        "stock.set",
        "order.*",
        "price.*",
        "stock.*",
        "orders.*",
        "nothing",
        "stock",
    ];
    const USES: [&str; 9] =
        ["depot", "mail", "depot::get", "depot::put", "mail::get", "mail::send", "nothing", "depot::send", "circle"];
    let count = 1 + random.below(5);
    // The order of names is not that in which roles extend each other.
    let turn = random.below(count);
    let name = |index: usize| format!("r{}", (index + turn) % count);
    let (mut roles, mut plays) = (Map::new(), Vec::new());
    for index in 0..count {
        let mut role = json!({ "call": random.some_of(&CALLS, 4), "use": random.some_of(&USES, 3) });
        if random.chance(8) {
            role["call"].as_array_mut().expect("a list").push(json!("*"));
        }
        if random.chance(8) {
            role["use"].as_array_mut().expect("a list").push(json!("*"));
        }
        let mut may_play = false;
        if index > 0 && random.chance(60) {
            let other = random.below(index);
            role["extends"] = json!(name(other));
            may_play = plays[other];
        }
        if random.chance(60) {
            // A role cannot take away what the role that it extends may do.
            may_play |= random.chance(65);
            role["play"] = json!(may_play);
        }
        plays.push(may_play);
        roles.insert(name(index), role);
    }
    let mut definition = json!({ "roles": roles });
    for group in ["anyone", "authenticated"] {
        if random.chance(60) {
            definition[group] = json!(name(random.below(count)));
        }
    }
    definition["members"] = json!([
        { "name": "alice", "keys": [1, 2], "role": name(random.below(count)) },
        { "name": "bob", "keys": [3], "role": name(random.below(count)) },
    ]);
    definition
}

/// What a caller may do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Permissions {
    pub(crate) name: Option<String>,
    pub(crate) role: String,
    pub(crate) may_play: bool,
    call: Vec<String>,
    r#use: Vec<String>,
}

impl Permissions {
    /// Returns what the caller with this key may do; `None` without any role.
    pub(crate) fn of(definition: &Value, key: Option<u64>) -> Option<Self> {
        let members = definition["members"].as_array().expect("a list");
        let has_key = |member: &&Value| {
            member["keys"].as_array().expect("a list").iter().any(|one| key.is_some() && one.as_u64() == key)
        };
        let member = members.iter().find(has_key);
        let role = match (member, key) {
            (Some(member), _) => &member["role"],
            (None, Some(_)) if definition.get("authenticated").is_some() => &definition["authenticated"],
            _ => definition.get("anyone")?,
        };
        let role = role.as_str().expect("a name");
        let mut permissions = Self {
            name: member.map(|member| member["name"].as_str().expect("a name").to_owned()),
            role: role.to_owned(),
            may_play: false,
            call: Vec::new(),
            r#use: Vec::new(),
        };
        let (mut play, mut at) = (None, Some(role));
        while let Some(name) = at {
            let role = &definition["roles"][name];
            let texts = |field: &str| {
                let list = role[field].as_array().into_iter().flatten();
                list.map(|text| text.as_str().expect("a text").to_owned()).collect::<Vec<_>>()
            };
            permissions.call.extend(texts("call"));
            permissions.r#use.extend(texts("use"));
            play = play.or(role["play"].as_bool());
            at = role["extends"].as_str();
        }
        permissions.may_play = play.unwrap_or(false);
        Some(permissions)
    }

    pub(crate) fn may_call(&self, function: &str) -> bool {
        self.call.iter().any(|pattern| {
            pattern == "*"
                || pattern == function
                || pattern.strip_suffix('*').is_some_and(|start| start.ends_with('.') && function.starts_with(start))
        })
    }

    pub(crate) fn may_use(&self, module: &str, function: &str) -> bool {
        let full = format!("{module}::{function}");
        self.r#use.iter().any(|pattern| pattern == "*" || pattern == module || *pattern == full)
    }
}
