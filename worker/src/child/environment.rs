//! The environment of one session: variables, functions and imports that persist across plays.

mod calls;

use std::{
    collections::HashSet,
    io,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use rhai::{AST, Dynamic, Engine, EvalAltResult, GlobalRuntimeState, Module, Scope, Shared};

use self::calls::Functions;
use super::constants::Constants;
use crate::{
    engine::{
        self, Caller, FunctionSources, HiddenFunctions, INIT_PLAY, Meter, ModuleLoader, Renderer, ScriptCache, Sources,
        TraceRoot, VariableSizes,
    },
    inspection::{self, Inventory, SharedInventory, Values},
    message::{
        EvalOutcome, HostCall, HostModule, HostReturn, NamedValue, Play, PlayValue, Print, Query, QueryAnswer,
        TraceFrame, WorkerLimits, WorkerSetup,
    },
};

/// Maximum duration of a short play.
const SHORT_PLAY: Duration = Duration::from_micros(100);

/// An environment, which evaluates one play at a time on the thread that created it.
pub(crate) struct Environment {
    engine: Engine,
    scope: Scope<'static>,
    /// Imports and global constants, which persist across plays.
    global: GlobalRuntimeState,
    functions: AST,
    function_sources: FunctionSources,
    modules: ModuleLoader,
    cache: ScriptCache,
    /// Rhai keeps constants for functions (`global::NAME`) only while a library is not empty.
    placeholder_module: Shared<Module>,
    meter: Arc<Meter>,
    sizes: VariableSizes,
    /// The index of names and functions, which the control thread reads.
    inventory: SharedInventory,
    limits: WorkerLimits,
    constants: Constants,
    caller: Caller,
    function_files: Option<Functions>,
    /// The outcome of the init script if it failed; every play then has this outcome.
    init_failure: Option<EvalOutcome>,
    hidden: HiddenFunctions,
    host: Vec<HostModule>,
}

impl Environment {
    pub(crate) fn new(
        setup: WorkerSetup,
        meter: Meter,
        inventory: SharedInventory,
        print: impl Fn(Print) + Send + Sync + 'static,
        call_host: impl Fn(HostCall) -> HostReturn + Send + Sync + 'static,
    ) -> Self {
        *inventory.lock() =
            Inventory::new(setup.modules.names().map(str::to_owned).collect(), &setup.host, setup.limits.output_bytes);
        let meter = Arc::new(meter);
        let print = move |printed: Print| {
            if printed.play != INIT_PLAY {
                print(printed);
            }
        };
        let modules = ModuleLoader::new(setup.modules.clone());
        let caller = Caller::default();
        let mut engine = engine::build(&setup, modules.clone(), &meter, &caller, print);
        let hidden = HiddenFunctions::default();
        engine::register_host(&mut engine, &setup.host, setup.limits.host_bytes, &meter, &hidden, call_host);
        let mut placeholder_module = Module::new();
        placeholder_module.set_var("placeholder", Dynamic::UNIT);
        let mut environment = Self {
            global: engine.new_global_runtime_state(),
            engine,
            scope: Scope::new(),
            functions: AST::empty(),
            function_sources: FunctionSources::new(setup.limits.memory_bytes),
            modules,
            cache: ScriptCache::new(setup.limits.memory_bytes),
            placeholder_module: placeholder_module.into(),
            meter,
            sizes: VariableSizes::default(),
            inventory,
            limits: setup.limits,
            constants: Constants::new(setup.functions.is_some()),
            caller,
            function_files: None,
            init_failure: None,
            hidden,
            host: setup.host.clone(),
        };
        environment.constants.add_to_setup(&setup.constants);
        environment.inventory.lock().note_constants(environment.constants.values(), &environment.engine);
        environment.caller.set(environment.constants.values());
        environment.register_constants();
        if let Some(script) = &setup.init {
            let outcome = environment.play(&Play { number: INIT_PLAY, script, name: None, bind: None });
            environment.init_failure = (!matches!(outcome, EvalOutcome::Value(_))).then_some(outcome);
        }
        if let Some(functions) = &setup.functions {
            environment.prepare_functions(functions);
        }
        environment.reset_memory_baseline();
        environment
    }

    /// Excludes the memory in use now, which belongs to the setup, from the session's memory.
    pub(crate) fn reset_memory_baseline(&self) {
        self.meter.reset_memory_baseline();
    }

    /// Number of live bytes beyond the baseline; 0 if the process does not count them.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.meter.live_bytes()
    }

    /// Evaluates one script. Definitions that precede an error persist.
    pub(crate) fn play(&mut self, play: &Play<'_>) -> EvalOutcome {
        if !self.meter.begin(play.number) {
            self.meter.end();
            return EvalOutcome::Stopped;
        }
        let began = Instant::now();
        let outcome = self.run_play(play);
        self.meter.end();
        self.cache.note_play(play.script, self.meter.is_short() && began.elapsed() < SHORT_PLAY);
        outcome
    }

    /// Whether the last play of this script was short, so that this one probably is, too.
    pub(crate) fn was_short(&self, script: &str) -> bool {
        self.cache.was_short(script)
    }

    fn run_play(&mut self, play: &Play<'_>) -> EvalOutcome {
        if let Some(outcome) = &self.init_failure {
            return outcome.clone();
        }
        if self.meter.is_half_full() {
            self.cache.clear();
        }
        let outcome = self.evaluate(play);
        if let Some((kind, max)) = self.sizes.check(&self.scope, &self.limits) {
            self.meter.record_breach(kind, max);
        }
        // Check after the evaluation, because some native functions drop the error that ended a callback.
        if self.meter.is_stopped() {
            return EvalOutcome::Stopped;
        }
        match self.meter.breach() {
            Some((kind, max)) => EvalOutcome::Limit { kind, max },
            None => outcome,
        }
    }

    fn evaluate(&mut self, play: &Play<'_>) -> EvalOutcome {
        let ast = match self.cache.compile(&self.engine, play.script) {
            Ok(ast) => ast,
            Err(error) => return engine::parse_failure(&error, play, &self.limits),
        };
        if ast.has_functions() {
            self.function_sources.add(play, &ast);
            self.functions = self.functions.clone_functions_only().merge(&ast.clone_functions_only());
        }
        let variables = self.scope.len();
        let result = self.run(&ast).or_else(engine::exit_value);
        let outcome = result.map(|value| self.bind_value(value, play.bind));
        if self.scope.len() > variables {
            self.remove_shadowed();
        }
        self.update_inventory(&ast, play.number == INIT_PLAY);
        // The hint on an error can name what the play defined.
        outcome.unwrap_or_else(|error| self.failure(*error, play, TraceRoot::Script))
    }

    fn failure(&self, error: EvalAltResult, play: &Play<'_>, root: TraceRoot) -> EvalOutcome {
        let hint = |error: &EvalAltResult, at: &TraceFrame| inspection::hint(error, at, &self.inventory.lock());
        engine::run_failure(error, &self.sources(play, root), &self.engine, &self.limits, hint)
    }

    fn sources<'a>(&'a self, play: &'a Play<'a>, root: TraceRoot) -> Sources<'a> {
        let Self { functions, function_sources, modules, function_files, .. } = self;
        let files = function_files.as_ref().map_or(&[][..], |functions| &functions.files);
        Sources { root, play, functions, origins: function_sources, modules, files }
    }

    /// Answers a query, between plays.
    pub(crate) fn answer_query(&self, query: &Query) -> QueryAnswer {
        let values = Values { engine: &self.engine, scope: &self.scope };
        inspection::answer(query, &self.inventory, Some(values))
    }

    /// Updates the inventory after a play.
    fn update_inventory(&self, ast: &AST, is_init: bool) {
        let mut inventory = self.inventory.lock();
        inventory.note_variables(&self.scope, &self.engine);
        inventory.note_imports(&self.global, &self.engine);
        if ast.has_functions() {
            inventory.note_functions(ast.iter_functions(), is_init);
        }
    }

    /// Runs a script in the persistent state.
    fn run(&mut self, ast: &AST) -> Result<Dynamic, Box<EvalAltResult>> {
        // A plain number, or an atomic one with the feature `sync` of Rhai.
        self.global.num_operations = Default::default();
        self.global.level = 0;
        self.global.scope_level = 0;
        self.global.always_search_scope = false;
        self.global.lib.clear();
        self.global.lib.push(self.functions.shared_lib().clone());
        self.global.lib.push(self.placeholder_module.clone());
        engine::evaluate(&self.engine, &mut self.global, &mut self.scope, ast)
    }

    fn bind_value(&mut self, value: Dynamic, bind: Option<&str>) -> EvalOutcome {
        let outcome = self.render(&value);
        if let (EvalOutcome::Value(_), Some(name)) = (&outcome, bind)
            && !value.is_unit()
        {
            self.scope.push_dynamic(name.to_owned(), value.flatten());
        }
        outcome
    }

    /// Renders the value of a play or a call.
    fn render(&self, value: &Dynamic) -> EvalOutcome {
        let renderer = Renderer { engine: &self.engine, max_bytes: self.limits.output_bytes };
        let rendered = renderer.text(value).and_then(|output| Ok((output, renderer.json(value)?)));
        let (output, json) = match rendered {
            Ok(rendered) => rendered,
            Err(error) => return EvalOutcome::Limit { kind: error.kind, max: error.max },
        };
        let type_name = self.engine.map_type_name(value.type_name()).to_owned();
        EvalOutcome::Value(PlayValue { output, type_name, json, operations: self.meter.operations() })
    }

    /// Removes variables that a later declaration shadows. Without this, a session would grow with each `let`.
    fn remove_shadowed(&mut self) {
        let mut seen = HashSet::new();
        let mut shadowing: Vec<(String, bool, Option<Dynamic>)> = Vec::new();
        // Newest first.
        for (name, ..) in self.scope.iter_raw() {
            if seen.insert(name) || shadowing.iter().any(|(known, ..)| known == name) {
                continue;
            }
            let newest = self.scope.iter_raw().find(|(other, ..)| *other == name);
            let (is_constant, value) =
                newest.map_or((false, None), |(_, is_constant, value)| (is_constant, Some(value)));
            // A variable that a closure captured must keep its identity. Other values are moved, because copies can be
            // large.
            shadowing.push((name.to_owned(), is_constant, value.filter(|value| value.is_shared()).cloned()));
        }
        for (name, is_constant, shared) in shadowing {
            let removed = self.scope.remove::<Dynamic>(&name);
            while self.scope.contains(&name) {
                drop(self.scope.remove::<Dynamic>(&name));
            }
            let value = shared.or(removed).unwrap_or(Dynamic::UNIT);
            if is_constant {
                self.scope.push_constant_dynamic(name, value);
            } else {
                self.scope.push_dynamic(name, value);
            }
        }
    }

    /// Sets the constants of the following plays, besides those of the setup.
    pub(crate) fn set_constants(&mut self, constants: &[NamedValue]) -> io::Result<()> {
        self.constants.replace(constants)?;
        self.caller.set(self.constants.values());
        self.register_constants();
        if !self.constants.are_shared() {
            self.inventory.lock().note_constants(self.constants.values(), &self.engine);
        }
        Ok(())
    }

    /// Registers the constants, visible in functions too. Definitions of the script hide them.
    fn register_constants(&mut self) {
        if let Some(module) = self.constants.module() {
            self.engine.register_global_module(module.into());
        }
    }

    /// Hides host functions, by their numbers, from scripts and from completion.
    pub(crate) fn hide_functions(&mut self, hidden: Vec<u32>) {
        let hidden: HashSet<u32> = hidden.into_iter().collect();
        let mut numbers = 0..;
        let visible = self.host.iter().map(|HostModule { name, functions, keeps_types }| {
            let numbered = functions.iter().zip(numbers.by_ref());
            let functions =
                numbered.filter(|(_, number)| !hidden.contains(number)).map(|(function, _)| function.clone());
            HostModule { name: name.clone(), functions: functions.collect(), keeps_types: *keeps_types }
        });
        let visible: Vec<HostModule> = visible.collect();
        self.inventory.lock().set_host(&visible);
        *self.hidden.write().unwrap_or_else(PoisonError::into_inner) = hidden;
    }

    /// Assigns values to variables, which a script sees like those that it declares.
    pub(crate) fn set_inputs(&mut self, inputs: &[NamedValue]) -> io::Result<()> {
        for input in inputs {
            self.scope.push_dynamic(input.name().to_owned(), engine::named_value(input)?);
        }
        self.remove_shadowed();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
