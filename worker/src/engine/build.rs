//! Construction of the engine: packages, limits, progress and output.

use std::sync::Arc;

use rhai::{
    Dynamic, Engine, EvalAltResult, FLOAT, FuncRegistration, INT, OptimizationLevel, Position,
    packages::{Package, StandardPackage},
};

use super::{
    caller::Caller, clock, collections, meter::Meter, modules::ModuleLoader, natives::add_natives,
    position::to_position, random, sortable, unique_id,
};
use crate::message::{Print, ScriptProgress, Stream, WorkerLimits, WorkerSetup};

/// Builds the engine of one environment.
pub(crate) fn build(
    setup: &WorkerSetup,
    modules: ModuleLoader,
    meter: &Arc<Meter>,
    caller: &Caller,
    print: impl Fn(Print) + Send + Sync + 'static,
) -> Engine {
    // Not `Engine::new`, which reads files and prints to the terminal.
    let mut engine = Engine::new_raw();
    StandardPackage::new().register_into_engine(&mut engine);
    collections::register(&mut engine, &setup.limits);
    restrict(&mut engine, &setup.limits);
    let sleep = |params| native("sleep", params, "/// Disabled: scripts can only compute.");
    sleep(&["seconds: i64"]).register_into_engine(&mut engine, |_: INT| sleep_disabled());
    sleep(&["seconds: f64"]).register_into_engine(&mut engine, |_: FLOAT| sleep_disabled());
    engine.set_module_resolver(modules);

    let counter = meter.clone();
    engine.on_progress(move |_| if counter.count() { None } else { Some(Dynamic::UNIT) });

    register_progress(&mut engine, meter);
    register_prints(&mut engine, meter, print);
    caller.register(&mut engine);
    clock::register(&mut engine);
    random::register(&mut engine);
    sortable::register(&mut engine);
    unique_id::register(&mut engine);
    // Last, so that the natives of the program replace those of the worker.
    add_natives(&mut engine);
    engine
}

/// Begins the registration of a native function, with the documentation for `complete` and `lookup`. The type of the
/// result can follow the parameters.
pub(super) fn native(name: &str, params: &[&str], doc: &str) -> FuncRegistration {
    FuncRegistration::new(name).with_params_info(params).with_comments([doc])
}

/// The error of a native function.
///
/// It has the kind that the functions of Rhai have for invalid arguments. A string would be a thrown value, which the
/// callers of a circle's functions see.
pub(super) fn native_error(message: String) -> EvalAltResult {
    EvalAltResult::ErrorArithmetic(message, Position::NONE)
}

/// Builds an engine that parses what an engine of [`build`] parses, and evaluates nothing.
pub(crate) fn parser(limits: &WorkerLimits) -> Engine {
    let mut engine = Engine::new_raw();
    restrict(&mut engine, limits);
    add_natives(&mut engine);
    engine
}

fn restrict(engine: &mut Engine, limits: &WorkerLimits) {
    let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    // The optimiser makes the compile time superlinear in the script's length.
    engine.set_optimization_level(OptimizationLevel::None);
    // `eval` recurses on the native stack without a bound.
    engine.disable_symbol("eval");
    engine
        .set_max_call_levels(size(limits.call_depth))
        .set_max_expr_depths(size(limits.expression_depth), size(limits.expression_depth))
        .set_max_string_size(size(limits.string_bytes))
        .set_max_array_size(size(limits.array_items))
        .set_max_map_size(size(limits.map_items));
}

fn sleep_disabled() -> Result<(), Box<EvalAltResult>> {
    Err("`sleep` is disabled: scripts can only compute".into())
}

fn register_progress(engine: &mut Engine, meter: &Arc<Meter>) {
    let plain = meter.clone();
    let progress = |params| native("progress", params, "/// Reports the progress of the play to its caller.");
    progress(&["done: i64", "total: i64"]).register_into_engine(engine, move |done: INT, total: INT| {
        plain.set_progress(Some(ScriptProgress::new(done, total, None)));
    });
    let with_text = meter.clone();
    let report = move |done: INT, total: INT, text: &str| {
        with_text.set_progress(Some(ScriptProgress::new(done, total, Some(text))));
    };
    progress(&["done: i64", "total: i64", "text: string"]).register_into_engine(engine, report);
}

fn register_prints(engine: &mut Engine, meter: &Arc<Meter>, print: impl Fn(Print) + Send + Sync + 'static) {
    let print = Arc::new(print);
    let (debug, counter) = (print.clone(), meter.clone());
    engine.on_print(move |text| {
        if counter.count_print(text.len()) {
            print(Print { play: counter.play(), stream: Stream::Print, text: text.into(), position: None });
            counter.flush();
        }
    });
    let counter = meter.clone();
    engine.on_debug(move |text, _, position| {
        if counter.count_print(text.len()) {
            let position = to_position(position);
            debug(Print { play: counter.play(), stream: Stream::Debug, text: text.into(), position });
            counter.flush();
        }
    });
}
