//! The size check of variables at the end of a play.
//!
//! Rhai checks the results of operations, but not a map that grows by an index assignment or a string that grows by an
//! assignment to a range, and scripts can catch Rhai's error. A hook on each variable access would detect them during
//! the play, but makes loops 3 to 9 % slower. During the play, the memory limit bounds the variables.

use std::collections::HashMap;

use rhai::{Array, Blob, Dynamic, ImmutableString, Map, Scope};

use crate::message::{LimitKind, WorkerLimits};

/// The variables over a limit, with their sizes. Each was reported once; plays that do not grow it further succeed.
#[derive(Debug, Default)]
pub(crate) struct VariableSizes(HashMap<String, u64>);

impl VariableSizes {
    /// Returns the limit that a variable has newly exceeded since the last play.
    pub(crate) fn check(&mut self, scope: &Scope<'_>, limits: &WorkerLimits) -> Option<(LimitKind, u64)> {
        let mut large = HashMap::new();
        let mut grown = None;
        for (name, _, value) in scope.iter_raw() {
            let Some((size, kind, max)) = too_large(value, limits) else { continue };
            if self.0.get(name).is_none_or(|known| size > *known) {
                grown = Some((kind, max));
            }
            large.insert(name.to_owned(), size);
        }
        self.0 = large;
        grown
    }
}

/// The limit that a value exceeds, if any.
pub(crate) fn exceeded_size(value: &Dynamic, limits: &WorkerLimits) -> Option<(LimitKind, u64)> {
    too_large(value, limits).map(|(_, kind, max)| (kind, max))
}

/// The size of a value and the limit that it exceeds, if any.
fn too_large(value: &Dynamic, limits: &WorkerLimits) -> Option<(u64, LimitKind, u64)> {
    let (size, kind, max) = if let Some(map) = value.read_lock::<Map>() {
        (map.len(), LimitKind::MapSize, limits.map_items)
    } else if let Some(array) = value.read_lock::<Array>() {
        (array.len(), LimitKind::ArraySize, limits.array_items)
    } else if let Some(text) = value.read_lock::<ImmutableString>() {
        (text.len(), LimitKind::StringSize, limits.string_bytes)
    } else if let Some(blob) = value.read_lock::<Blob>() {
        (blob.len(), LimitKind::ArraySize, limits.array_items)
    } else {
        return None;
    };
    (size as u64 > max).then_some((size as u64, kind, max))
}
