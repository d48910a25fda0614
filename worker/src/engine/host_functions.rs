//! Host functions: functions that scripts call and the program executes.
//!
//! A worker knows only their names. It sends the function's number and the arguments as JSON, and waits for the result.
//! The program decides about the caller's permissions.

use std::{
    any::TypeId,
    collections::HashSet,
    io,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rhai::{
    Array, Blob, Dynamic, Engine, EvalAltResult, FnNamespace, FuncRegistration, INT, Map, Module, NativeCallContext,
    Position, RhaiFunc, Shared,
};
use serde_json::{Value, json};

use super::{
    meter::Meter,
    renderer::{ArgumentError, Renderer, TooLarge},
};
use crate::message::{BLOB_MEMBER, HOST_ERROR, HostCall, HostError, HostModule, HostReturn, LimitKind, NamedValue};

/// Registers the host functions in an engine. `call` sends a call to the program and waits for the result.
pub(crate) fn register_host(
    engine: &mut Engine,
    modules: &[HostModule],
    max_bytes: u64,
    meter: &Arc<Meter>,
    hidden: &HiddenFunctions,
    call: impl Fn(HostCall) -> HostReturn + Send + Sync + 'static,
) {
    let bridge = Arc::new(HostBridge { meter: meter.clone(), hidden: hidden.clone(), call: Box::new(call), max_bytes });
    let mut index = 0;
    for module in modules {
        let mut functions = Module::new();
        for function in &module.functions {
            let bridge = bridge.clone();
            let called = CalledFunction {
                name: format!("{}::{}", module.name, function.name),
                params: function.params.clone(),
                number: index,
                keeps_types: module.keeps_types,
            };
            let call_function = move |context: Option<NativeCallContext<'_>>, args: &mut [&mut Dynamic]| {
                let context = context.expect("`has_context` is set below");
                bridge.call(&called, args, &context)
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

/// The numbers of the host functions that scripts do not see.
pub(crate) type HiddenFunctions = Arc<RwLock<HashSet<u32>>>;

struct HostBridge {
    meter: Arc<Meter>,
    hidden: HiddenFunctions,
    call: Box<dyn Fn(HostCall) -> HostReturn + Send + Sync>,
    max_bytes: u64,
}

struct CalledFunction {
    /// The name with that of the module.
    name: String,
    params: Vec<String>,
    number: u32,
    keeps_types: bool,
}

impl HostBridge {
    fn call(
        &self,
        called: &CalledFunction,
        args: &[&mut Dynamic],
        context: &NativeCallContext<'_>,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let CalledFunction { name, params, number: function, keeps_types } = called;
        let (name, function) = (name.as_str(), *function);
        let position = context.call_position();
        if self.hidden.read().unwrap_or_else(PoisonError::into_inner).contains(&function) {
            let engine = context.engine();
            let types: Vec<&str> = args.iter().map(|arg| engine.map_type_name(arg.type_name())).collect();
            return Err(EvalAltResult::ErrorFunctionNotFound(format!("{name} ({})", types.join(", ")), position).into());
        }
        let terminated = || EvalAltResult::ErrorTerminated(Dynamic::UNIT, position).into();
        let renderer = Renderer { engine: context.engine(), max_bytes: self.max_bytes };
        let json = match render(args, renderer, *keeps_types) {
            Ok(json) => json,
            Err((_, ArgumentError::TooLarge(TooLarge { kind: LimitKind::ValueDepth, max }))) => {
                self.meter.record_breach(LimitKind::ValueDepth, max);
                return Err(terminated());
            }
            Err((_, ArgumentError::TooLarge(_))) => {
                self.meter.record_breach(LimitKind::HostBytes, self.max_bytes);
                return Err(terminated());
            }
            Err((index, ArgumentError::NoForm { type_name, path })) => {
                let param = params.get(index).map_or("?", String::as_str);
                let place = if path.is_empty() { String::new() } else { format!(" at {param}{path}") };
                let why = format!("argument '{param}': a value of type {type_name}{place} has no form in JSON");
                let data = json!({ "param": param }).to_string();
                return Err(host_error(name, why, None, Some(&data), position).into());
            }
        };
        let Some((play, number)) = self.meter.next_host_call() else {
            return Err(host_error(
                name,
                "host functions can be called only by plays and calls, not before the first one".into(),
                None,
                None,
                position,
            )
            .into());
        };
        match (self.call)(HostCall { play, number, function, args: json }) {
            HostReturn::Value(json) => {
                parse_value(&json).map_err(|why| host_error(name, why, None, None, position).into())
            }
            HostReturn::Failed(HostError { message, code, data }) => {
                Err(host_error(name, message, code, data.as_deref(), position).into())
            }
            HostReturn::Aborted => {
                self.meter.stop();
                Err(terminated())
            }
        }
    }
}

/// Renders the arguments as one JSON array. An error has the index of the argument.
fn render(args: &[&mut Dynamic], renderer: Renderer<'_>, keeps_types: bool) -> Result<String, (usize, ArgumentError)> {
    let mut json = String::from("[");
    for (index, arg) in args.iter().enumerate() {
        json.push_str(if index == 0 { "" } else { "," });
        let argument = if keeps_types { renderer.exact_argument(arg) } else { renderer.argument(arg) };
        json.push_str(&argument.map_err(|error| (index, error))?);
        // The renderer bounds each argument; this bounds all of them together.
        if json.len() as u64 >= renderer.max_bytes {
            return Err((index, TooLarge { kind: LimitKind::HostBytes, max: renderer.max_bytes }.into()));
        }
    }
    json.push(']');
    Ok(json)
}

/// Parses JSON as a value of Rhai. Returns an error text if Rhai has no such value.
fn parse_value(json: &str) -> Result<Dynamic, String> {
    let parsed: Value = serde_json::from_str(json).map_err(|error| format!("its result is invalid JSON: {error}"))?;
    to_dynamic(parsed)
}

/// The value of a constant or an input. The program has checked it, so an error is a violation of the protocol.
pub(crate) fn named_value(value: &NamedValue) -> io::Result<Dynamic> {
    parse_value(value.json()).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
}

fn to_dynamic(value: Value) -> Result<Dynamic, String> {
    Ok(match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(value) => value.into(),
        Value::String(text) => text.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => INT::from(integer).into(),
            // Never convert silently to another number.
            (None, Some(_)) if number.is_u64() => {
                return Err(format!("its result contains {number}, which does not fit an i64"));
            }
            (None, Some(float)) => float.into(),
            (None, None) => return Err(format!("its result contains {number}, which does not fit an f64")),
        },
        Value::Array(items) => items.into_iter().map(to_dynamic).collect::<Result<Array, _>>()?.into(),
        Value::Object(members) => {
            if let Some(blob) = blob(&members) {
                return Ok(Dynamic::from_blob(blob));
            }
            let member = |(name, value): (String, Value)| Ok((name.into(), to_dynamic(value)?));
            members.into_iter().map(member).collect::<Result<Map, String>>()?.into()
        }
    })
}

/// Returns the bytes of a blob, if the object is one.
fn blob(members: &serde_json::Map<String, Value>) -> Option<Blob> {
    let base64 = members.get(BLOB_MEMBER).filter(|_| members.len() == 1)?.as_str()?;
    STANDARD.decode(base64).ok()
}

/// Builds the error that a script can catch: a map with `error`, `message` and more, like Rhai's own errors.
fn host_error(
    function: &str,
    message: String,
    code: Option<String>,
    data: Option<&str>,
    position: Position,
) -> EvalAltResult {
    let mut error = Map::new();
    error.insert("error".into(), HOST_ERROR.into());
    error.insert("function".into(), function.to_owned().into());
    error.insert("message".into(), message.into());
    if let Some(code) = code {
        error.insert("code".into(), code.into());
    }
    if let Some(data) = data.and_then(|data| parse_value(data).ok()) {
        error.insert("data".into(), data);
    }
    EvalAltResult::ErrorRuntime(error.into(), position)
}

/// The message of a thrown value that is the error of a host function.
pub(crate) fn host_error_message(thrown: &Dynamic) -> Option<String> {
    let map = thrown.read_lock::<Map>()?;
    let text = |name: &str| map.get(name)?.read_lock::<rhai::ImmutableString>().map(|text| text.to_string());
    (text("error")? == HOST_ERROR).then_some(())?;
    Some(format!("{}: {}", text("function")?, text("message")?))
}
