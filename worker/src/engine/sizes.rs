//! Sizes of what variables hold. Rhai looks at what an operation has made, but not at a map that an assignment to an index
//! has made larger, nor at a string with one to a range; and scripts may catch what it says. So they are looked at when a
//! play has ended. While it runs, nothing but a hook at each look at a variable would see them, and that makes loops 3 to 9 %
//! slower; until then its memory bounds them.

use std::collections::HashMap;

use rhai::{Array, Blob, Dynamic, ImmutableString, Map, Scope};

use crate::message::{LimitKind, WorkerLimits};

/// What is too large already, by name, and how large: it was told, and what does not make it larger goes on.
#[derive(Debug, Default)]
pub(crate) struct VariableSizes(HashMap<String, u64>);

impl VariableSizes {
    /// What a variable has become too large for since the last play.
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

/// Its size, and the limit that it is over.
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
