//! The modules `store` and `events` of scripts.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Direction, Entry, Key, ListOptions, Prefix, Transaction, TurnKey, Value};

use super::{StoreAccess, error::script_error, run_transaction::ReadTarget, value};
use crate::{
    host::{self, Call, Internal, Module},
    stored_value::PlainJson,
};

/// The name of the module of keys and values.
pub(crate) const STORE: &str = "store";

/// The name of the module of events.
pub(crate) const EVENTS: &str = "events";

/// A value that comes from the store.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct StoredValue(Box<RawValue>);

/// A value that a script stores.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct ScriptValue(PlainJson);

macro_rules! any_type {
    ($($name:ident),*) => {
        $(impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                true.into()
            }
        })*
    };
}

any_type!(StoredValue, ScriptValue);

/// An entry of a list.
#[derive(Debug, Serialize, JsonSchema)]
struct StoreEntry {
    key: String,
    value: StoredValue,
}

/// What a list contains.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct StoreListOptions {
    /// The list starts after this text.
    after: Option<String>,
    /// Maximum number of entries, 100 by default, 1,000 at most.
    limit: Option<usize>,
    /// Whether the last key comes first.
    reverse: bool,
}

/// Returns the module `store`.
pub(super) fn store_module() -> Module {
    readers(writers(Module::new(STORE).keep_types()))
}

fn writers(module: Module) -> Module {
    module
        .function(
            "put",
            ["key", "value"],
            "Sets the value of a key.",
            |call: Call, (key, ScriptValue(PlainJson(value))): (String, ScriptValue)| async move {
                let (access, value) = (access(&call)?, value::encode(&value)?);
                access.check_key("put", &key)?;
                write(access, |transaction| transaction.put(&key, value)).await
            },
        )
        .function(
            "insert",
            ["key", "value"],
            "Sets the value of a key that has none, and throws if it has one.",
            |call: Call, (key, ScriptValue(PlainJson(value))): (String, ScriptValue)| async move {
                let (access, value) = (access(&call)?, value::encode(&value)?);
                access.check_key("insert", &key)?;
                read(access, ReadTarget::One(parse_key(&key)?), move |transaction| transaction.insert(&key, value))
                    .await
            },
        )
        .function(
            "delete",
            ["key"],
            "Removes a key and its value, if there is one.",
            |call: Call, (key,): (String,)| async move {
                let access = access(&call)?;
                access.check_key("delete", &key)?;
                write(access, |transaction| transaction.delete(&key)).await
            },
        )
        .function(
            "add",
            ["key", "integer"],
            "Adds an integer to the value of a key when the run commits, without reading it, so that counters do not \
             conflict. A key without a value counts as 0.",
            |call: Call, (key, integer): (String, i64)| async move {
                let access = access(&call)?;
                access.check_key("add", &key)?;
                write(access, |transaction| transaction.add(&key, integer)).await
            },
        )
}

fn readers(module: Module) -> Module {
    module
        .function(
            "get",
            ["key"],
            "Returns the value of a key, or `()` if it has none.",
            |call: Call, (key,): (String,)| async move {
                let found = get(access(&call)?, key).await?;
                Ok(found.unwrap_or_default())
            },
        )
        .function(
            "get",
            ["key", "fallback"],
            "Returns the value of a key, or the fallback if it has none.",
            |call: Call, (key, ScriptValue(PlainJson(fallback))): (String, ScriptValue)| async move {
                let found = get(access(&call)?, key).await?;
                match found {
                    Some(found) => Ok(found),
                    None => serde_json::value::to_raw_value(&fallback).map(StoredValue).internal(),
                }
            },
        )
        .function(
            "get_all",
            ["keys"],
            "Returns the values of keys, in their order, with `()` for a key that has none.",
            |call: Call, (keys,): (Vec<String>,)| async move {
                get_all(access(&call)?, keys).await
            },
        )
        .function("has", ["key"], "Returns whether a key has a value.", |call: Call, (key,): (String,)| async move {
            let access = access(&call)?;
            access.check_key("has", &key)?;
            read(access, ReadTarget::One(parse_key(&key)?), move |transaction| transaction.has(&key)).await
        })
        .function(
            "list",
            ["prefix"],
            "Returns the first 100 entries whose keys begin with a prefix, which ends in `/`, as maps with `key` and \
             `value`, in the order of their keys.",
            |call: Call, (prefix,): (String,)| async move {
                list(access(&call)?, prefix, StoreListOptions::default()).await
            },
        )
        .function(
            "list",
            ["prefix", "options"],
            "Returns entries whose keys begin with a prefix, which ends in `/`. The options are `after` (a key after which \
             the list starts), `limit` (100 by default, 1,000 at most) and `reverse`.",
            |call: Call, (prefix, options): (String, StoreListOptions)| async move {
                list(access(&call)?, prefix, options).await
            },
        )
        .function(
            "count",
            ["prefix"],
            "Returns the number of keys that begin with a prefix, which ends in `/`. Each of them counts as read.",
            |call: Call, (prefix,): (String,)| async move {
                count(access(&call)?, prefix).await
            },
        )
}

/// Returns the module `events`.
pub(super) fn events_module() -> Module {
    Module::new(EVENTS).keep_types().function(
        "publish",
        ["topic", "data"],
        "Publishes an event, which the subscribers of the topic get when the run has committed.",
        |call: Call, (topic, ScriptValue(PlainJson(data))): (String, ScriptValue)| async move {
            let access = access(&call)?;
            access.check_topic(&topic)?;
            let data = value::encode_data(&data)?;
            write(access, |transaction| transaction.publish(&topic, data)).await
        },
    )
}

impl Default for StoredValue {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

fn access(call: &Call) -> host::Result<&StoreAccess> {
    // Calls of circles with a store have one.
    call.store.as_ref().ok_or_else(host::Error::hidden)
}

async fn read<T: Send + 'static>(
    access: &StoreAccess,
    target: ReadTarget,
    read: impl FnOnce(&mut Transaction) -> Result<T, store::Error> + Send + 'static,
) -> host::Result<T> {
    access.transaction()?.read(&target, access.may_wait(), read).await
}

async fn write(
    access: &StoreAccess,
    write: impl FnOnce(&mut Transaction) -> Result<(), store::Error>,
) -> host::Result<()> {
    access.transaction()?.write(write).await
}

async fn get(access: &StoreAccess, key: String) -> host::Result<Option<StoredValue>> {
    access.check_key("get", &key)?;
    decode_found(
        read(access, ReadTarget::One(parse_key(&key)?), move |transaction| transaction.get(&key)).await?.as_ref(),
    )
}

async fn get_all(access: &StoreAccess, keys: Vec<String>) -> host::Result<Vec<StoredValue>> {
    keys.iter().try_for_each(|key| access.check_key("get_all", key))?;
    let Some(first) = keys.first().map(|key| parse_key(key)).transpose()?.map(TurnKey::Key) else {
        return Ok(Vec::new());
    };
    let max_bytes = access.max_bytes();
    let all = move |transaction: &mut Transaction| transaction.get_all(keys.iter().map(String::as_str), max_bytes);
    let found = read(access, ReadTarget::Many(first), all).await?;
    found.into_iter().map(|found| Ok(decode_found(found.as_ref())?.unwrap_or_default())).collect()
}

async fn list(access: &StoreAccess, prefix: String, options: StoreListOptions) -> host::Result<Vec<StoreEntry>> {
    access.check_prefix("list", &prefix)?;
    let prefix = parse_prefix(&prefix)?;
    let StoreListOptions { after, limit, reverse } = options;
    let list_options = ListOptions {
        after,
        limit: limit.unwrap_or(ListOptions::default().limit),
        max_bytes: access.max_bytes(),
        direction: if reverse { Direction::Reverse } else { Direction::Forward },
    };
    let first = TurnKey::Scan(prefix.clone());
    let listed = move |transaction: &mut Transaction| transaction.list(&prefix, &list_options);
    let entries = read(access, ReadTarget::Many(first), listed).await?;
    let entry = |Entry { key, value }: Entry| Ok(StoreEntry { key: key.as_str().to_owned(), value: decode(&value)? });
    entries.into_iter().map(entry).collect()
}

async fn count(access: &StoreAccess, prefix: String) -> host::Result<usize> {
    access.check_prefix("count", &prefix)?;
    let prefix = parse_prefix(&prefix)?;
    let first = TurnKey::Scan(prefix.clone());
    read(access, ReadTarget::Many(first), move |transaction| transaction.count(&prefix)).await
}

/// Parses a key.
fn parse_key(key: &str) -> host::Result<Key> {
    Key::new(key).map_err(|error| script_error(&error.into()))
}

/// Parses a prefix; the empty one is that of all keys.
fn parse_prefix(prefix: &str) -> host::Result<Prefix> {
    if prefix.is_empty() {
        return Ok(Prefix::all());
    }
    Prefix::new(prefix).map_err(|error| script_error(&error.into()))
}

fn decode_found(found: Option<&Value>) -> host::Result<Option<StoredValue>> {
    found.map(decode).transpose()
}

fn decode(value: &Value) -> host::Result<StoredValue> {
    value::decode(value).map(StoredValue)
}
