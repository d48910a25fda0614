//! Functions of arrays and maps whose cost does not grow with the array or the map.
//!
//! After each call of a native function, Rhai counts all items of the first argument, nested items included. With the
//! functions of the standard package, building an array with `push` therefore takes quadratic time. The functions here
//! replace them: they compare the number of items with the limit, and hide the array or the map from Rhai's count. Rhai
//! still counts what operators, literals and other functions produce, and the memory limit bounds nested items.

use std::any::TypeId;

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FuncRegistration, INT, ImmutableString, Map, Module, NativeCallContext,
    Position, RhaiFunc, Shared,
};

use crate::{message::WorkerLimits, system::argument::narrow_first};

/// Registers the functions in an engine. They take precedence over packages that were registered before.
pub(super) fn register(engine: &mut Engine, limits: &WorkerLimits) {
    let mut module = Module::new();
    add_array_functions(&mut Methods { module: &mut module, max: limits.array_items });
    add_map_functions(&mut Methods { module: &mut module, max: limits.map_items });
    engine.register_global_module(module.into());
}

fn add_array_functions(methods: &mut Methods<'_>) {
    let (int, any, array) = (TypeId::of::<INT>(), TypeId::of::<Dynamic>(), TypeId::of::<Array>());
    for name in ["len", "get$len"] {
        methods.add_pure::<Array>(name, &[], |array, _| count(array.len()));
    }
    for name in ["is_empty", "get$is_empty"] {
        methods.add_pure::<Array>(name, &[], |array, _| array.is_empty().into());
    }
    methods.add::<Array>("get", &[int], |array, rest| {
        let offset = clamp(index(rest), array.len());
        array.get(offset).cloned().unwrap_or_default()
    });
    methods.add::<Array>("set", &[int, any], |array, rest| {
        let offset = clamp(index(rest), array.len());
        if let Some(item) = array.get_mut(offset) {
            *item = take_last(rest);
        }
        Dynamic::UNIT
    });
    methods.add::<Array>("push", &[any], |array, rest| {
        array.push(take_last(rest));
        Dynamic::UNIT
    });
    methods.add::<Array>("append", &[array], |array, rest| {
        array.append(&mut take_last(rest).into_array().unwrap_or_default());
        Dynamic::UNIT
    });
    methods.add::<Array>("insert", &[int, any], |array, rest| {
        array.insert(clamp(index(rest), array.len()), take_last(rest));
        Dynamic::UNIT
    });
    methods.add::<Array>("pop", &[], |array, _| array.pop().unwrap_or_default());
    methods.add::<Array>("shift", &[], |array, _| remove(array, 0));
    methods.add::<Array>("remove", &[int], |array, rest| remove(array, index(rest)));
    methods.add::<Array>("truncate", &[int], |array, rest| {
        array.truncate(usize::try_from(index(rest)).unwrap_or(0));
        Dynamic::UNIT
    });
}

fn add_map_functions(methods: &mut Methods<'_>) {
    let (text, any, map) = (TypeId::of::<ImmutableString>(), TypeId::of::<Dynamic>(), TypeId::of::<Map>());
    methods.add_pure::<Map>("len", &[], |map, _| count(map.len()));
    methods.add_pure::<Map>("is_empty", &[], |map, _| map.is_empty().into());
    methods.add_pure::<Map>("contains", &[text], |map, rest| map.contains_key(key(rest).as_str()).into());
    methods.add_pure::<Map>("get", &[text], |map, rest| map.get(key(rest).as_str()).cloned().unwrap_or_default());
    methods.add::<Map>("set", &[text, any], |map, rest| {
        map.insert(key(rest).as_str().into(), take_last(rest));
        Dynamic::UNIT
    });
    methods.add::<Map>("remove", &[text], |map, rest| map.remove(key(rest).as_str()).unwrap_or_default());
    for name in ["mixin", "+="] {
        methods.add::<Map>(name, &[map], |map, rest| {
            map.extend(take_last(rest).try_cast::<Map>().unwrap_or_default());
            Dynamic::UNIT
        });
    }
    methods.add::<Map>("fill_with", &[map], |map, rest| {
        for (key, value) in take_last(rest).try_cast::<Map>().unwrap_or_default() {
            map.entry(key).or_insert(value);
        }
        Dynamic::UNIT
    });
}

/// An array or a map.
trait Collection: Clone + 'static {
    /// Rhai's description of a collection over the limit.
    const DESCRIPTION: &str;

    fn size(&self) -> usize;

    fn first(&mut self) -> Option<&mut Dynamic>;
}

impl Collection for Array {
    const DESCRIPTION: &str = "Size of array/BLOB";

    fn size(&self) -> usize {
        self.len()
    }

    fn first(&mut self) -> Option<&mut Dynamic> {
        self.first_mut()
    }
}

impl Collection for Map {
    const DESCRIPTION: &str = "Size of object map";

    fn size(&self) -> usize {
        self.len()
    }

    fn first(&mut self) -> Option<&mut Dynamic> {
        self.values_mut().next()
    }
}

/// The implementation of a method: its collection and the other arguments, whose types Rhai has checked.
type Call<T> = fn(&mut T, &mut [&mut Dynamic]) -> Dynamic;

/// Adds methods of one kind of collection to a module.
struct Methods<'m> {
    module: &'m mut Module,
    /// The maximum size of a collection.
    max: u64,
}

impl Methods<'_> {
    /// Adds a method that constants have, too.
    fn add_pure<T: Collection>(&mut self, name: &str, params: &[TypeId], call: Call<T>) {
        self.add_method(name, params, true, call);
    }

    fn add<T: Collection>(&mut self, name: &str, params: &[TypeId], call: Call<T>) {
        self.add_method(name, params, false, call);
    }

    fn add_method<T: Collection>(&mut self, name: &str, params: &[TypeId], is_pure: bool, call: Call<T>) {
        let max = self.max;
        let method = move |_: Option<NativeCallContext<'_>>, args: &mut [&mut Dynamic]| {
            let Some((receiver, rest)) = args.split_first_mut() else { return Ok(Dynamic::UNIT) };
            let (value, size) = match receiver.write_lock::<T>() {
                Some(mut collection) => (call(&mut collection, rest), collection.size()),
                None => return Ok(Dynamic::UNIT),
            };
            if size as u64 > max {
                return Err(EvalAltResult::ErrorDataTooLarge(T::DESCRIPTION.into(), Position::NONE).into());
            }
            hide_receiver::<T>(args);
            Ok(value)
        };
        let mut types = vec![TypeId::of::<T>()];
        types.extend_from_slice(params);
        let func = RhaiFunc::Method { func: Shared::new(method), has_context: false, is_pure, is_volatile: false };
        FuncRegistration::new(name).set_into_module_raw(self.module, types, func);
    }
}

/// Puts something small in the place of the first argument, whose items Rhai counts when the function has returned.
///
/// A native function of the program that calls one of these functions must not use its slice of arguments afterwards;
/// the values themselves are as usual.
fn hide_receiver<T: Collection>(args: &mut [&mut Dynamic]) {
    if args.len() > 1 {
        // The other arguments have been used.
        args.swap(0, 1);
    } else {
        narrow_first(args, T::first);
    }
}

fn count(items: usize) -> Dynamic {
    INT::try_from(items).unwrap_or(INT::MAX).into()
}

fn index(rest: &[&mut Dynamic]) -> INT {
    rest.first().and_then(|index| index.as_int().ok()).unwrap_or_default()
}

fn key(rest: &[&mut Dynamic]) -> ImmutableString {
    rest.first().and_then(|key| key.read_lock::<ImmutableString>()).map(|key| key.clone()).unwrap_or_default()
}

fn take_last(rest: &mut [&mut Dynamic]) -> Dynamic {
    rest.last_mut().map(|value| value.take()).unwrap_or_default()
}

/// Converts an index, which counts from the end if it is negative, to an offset from 0 to `len`.
fn clamp(index: INT, len: usize) -> usize {
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX).min(len);
    if index < 0 { len - distance } else { distance }
}

/// Removes and returns an item, or returns `()` if there is none at the index.
fn remove(array: &mut Array, index: INT) -> Dynamic {
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    let offset = if index < 0 { array.len().checked_sub(distance) } else { Some(distance) };
    match offset {
        Some(offset) if offset < array.len() => array.remove(offset),
        _ => Dynamic::UNIT,
    }
}

#[cfg(test)]
mod tests;
