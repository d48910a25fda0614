//! The one bridge out of a worker: host functions, which scripts call like any others and the program carries out.
//!
//! A worker knows their names and no more. It sends a number and arguments as JSON, and waits for what the program
//! answers; who calls and whether they may is decided there.

use std::{any::TypeId, rc::Rc};

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FnNamespace, FuncRegistration, INT, Map, Module, NativeCallContext,
    Position, RhaiFunc, Shared,
};
use serde_json::Value;

use super::{
    meter::Meter,
    renderer::{Renderer, TooLarge},
};
use crate::message::{HOST_ERROR, HostCall, HostModule, HostReturn, LimitKind};

/// Gives an engine the functions of the host; `call` has one carried out.
pub(crate) fn register_host(
    engine: &mut Engine,
    modules: &[HostModule],
    max_bytes: u64,
    meter: &Rc<Meter>,
    call: impl Fn(HostCall) -> HostReturn + 'static,
) {
    let bridge = Rc::new(HostBridge { meter: meter.clone(), call: Box::new(call), max_bytes });
    let mut index = 0;
    for module in modules {
        let mut functions = Module::new();
        for function in &module.functions {
            let (bridge, name, number) = (bridge.clone(), format!("{}::{}", module.name, function.name), index);
            let call_function = move |context: Option<NativeCallContext<'_>>, args: &mut [&mut Dynamic]| {
                let context = context.expect("asked for below");
                bridge.call(&name, number, args, &context)
            };
            FuncRegistration::new(&function.name).with_namespace(FnNamespace::Internal).set_into_module_raw(
                &mut functions,
                vec![TypeId::of::<Dynamic>(); function.params.len()],
                RhaiFunc::Pure {
                    func: Shared::new(call_function),
                    has_context: true,
                    is_pure: true,
                    is_volatile: true,
                },
            );
            index += 1;
        }
        engine.register_static_module(&module.name, functions.into());
    }
}

struct HostBridge {
    meter: Rc<Meter>,
    call: Box<dyn Fn(HostCall) -> HostReturn>,
    max_bytes: u64,
}

impl HostBridge {
    fn call(
        &self,
        name: &str,
        function: u32,
        args: &[&mut Dynamic],
        context: &NativeCallContext<'_>,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let position = context.call_position();
        let terminated = || EvalAltResult::ErrorTerminated(Dynamic::UNIT, position).into();
        let json = match render(args, Renderer { engine: context.engine(), max_bytes: self.max_bytes }) {
            Ok(json) => json,
            Err(TooLarge { kind: LimitKind::ValueDepth, max }) => {
                self.meter.record_breach(LimitKind::ValueDepth, max);
                return Err(terminated());
            }
            Err(_) => {
                self.meter.record_breach(LimitKind::HostBytes, self.max_bytes);
                return Err(terminated());
            }
        };
        if let Some(index) = args.iter().position(|arg| holds_function(arg)) {
            let why = format!("argument {} is a function or holds one, and no function leaves the script", index + 1);
            return Err(host_error(name, why, None, position).into());
        }
        let Some((play, number)) = self.meter.next_host_call() else {
            return Err(host_error(name, "there is no one to carry it out but for plays".into(), None, position).into());
        };
        match (self.call)(HostCall { play, number, function, args: json }) {
            HostReturn::Value(json) => parse_value(&json).map_err(|why| host_error(name, why, None, position).into()),
            HostReturn::Failed(error) => Err(host_error(name, error.message, error.data.as_deref(), position).into()),
            HostReturn::Aborted => {
                self.meter.stop();
                Err(terminated())
            }
        }
    }
}

/// Whether a value is a function pointer, or an array or a map that holds one. Its text would be a name that Rhai made up.
/// To be called with what was rendered, which is neither too deep nor too large.
fn holds_function(value: &Dynamic) -> bool {
    if let Some(array) = value.read_lock::<Array>() {
        array.iter().any(holds_function)
    } else if let Some(map) = value.read_lock::<Map>() {
        map.values().any(holds_function)
    } else {
        value.is_fnptr()
    }
}

/// The arguments as one array.
fn render(args: &[&mut Dynamic], renderer: Renderer<'_>) -> Result<String, TooLarge> {
    let mut json = String::from("[");
    for (index, arg) in args.iter().enumerate() {
        json.push_str(if index == 0 { "" } else { "," });
        json.push_str(&renderer.json(arg)?);
        // Each is held to the bound by itself; here they are together.
        if json.len() as u64 >= renderer.max_bytes {
            return Err(TooLarge { kind: LimitKind::HostBytes, max: renderer.max_bytes });
        }
    }
    json.push(']');
    Ok(json)
}

/// A value of the script's from JSON. The error is that there is none like it.
fn parse_value(json: &str) -> Result<Dynamic, String> {
    let parsed: Value = serde_json::from_str(json).map_err(|error| format!("its result cannot be read: {error}"))?;
    to_dynamic(parsed)
}

fn to_dynamic(value: Value) -> Result<Dynamic, String> {
    Ok(match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(value) => value.into(),
        Value::String(text) => text.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => INT::from(integer).into(),
            // Not silently another number.
            (None, Some(_)) if number.is_u64() => return Err(format!("its result has {number}, beyond an i64")),
            (None, Some(float)) => float.into(),
            (None, None) => return Err(format!("its result has {number}, which is no number here")),
        },
        Value::Array(items) => items.into_iter().map(to_dynamic).collect::<Result<Array, _>>()?.into(),
        Value::Object(members) => {
            let member = |(name, value): (String, Value)| Ok((name.into(), to_dynamic(value)?));
            members.into_iter().map(member).collect::<Result<Map, String>>()?.into()
        }
    })
}

/// The error that a script may catch, like those of Rhai's own: a map with `error`, `message` and more.
fn host_error(function: &str, message: String, data: Option<&str>, position: Position) -> EvalAltResult {
    let mut error = Map::new();
    error.insert("error".into(), HOST_ERROR.into());
    error.insert("function".into(), function.to_owned().into());
    error.insert("message".into(), message.into());
    if let Some(data) = data.and_then(|data| parse_value(data).ok()) {
        error.insert("data".into(), data);
    }
    EvalAltResult::ErrorRuntime(error.into(), position)
}

/// What to say of a thrown value that is the failure of a host function.
pub(crate) fn host_error_message(thrown: &Dynamic) -> Option<String> {
    let map = thrown.read_lock::<Map>()?;
    let text = |name: &str| map.get(name)?.read_lock::<rhai::ImmutableString>().map(|text| text.to_string());
    (text("error")? == HOST_ERROR).then_some(())?;
    Some(format!("{}: {}", text("function")?, text("message")?))
}

/// How the host function is called that was called with other arguments than it takes; `signature` begins with its name.
pub(crate) fn usage(modules: &[HostModule], signature: &str) -> Option<String> {
    let (path, _) = signature.split_once(' ')?;
    let (module, name) = path.split_once("::")?;
    let module = modules.iter().find(|known| known.name == module)?;
    let of_name = module.functions.iter().filter(|function| function.name == name);
    let usages: Vec<String> = of_name.map(|function| format!("{}::{}", module.name, function.signature())).collect();
    (!usages.is_empty()).then(|| format!("it is called as {}", usages.join(" or ")))
}
