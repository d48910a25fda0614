//! Modules whose functions pass nothing from one call to the next.
//!
//! Rhai's [`Module::eval_ast_as_new`] keeps the values that closures at the top level have captured: a constant
//! `next = || { n += 1; n }` would count across calls. So this evaluates the top level itself, and gives each closure a
//! copy of what it has captured.

use std::any::TypeId;

use rhai::{
    AST, Array, Caches, Dynamic, EncapsulatedEnviron, Engine, EvalAltResult, FnAccess, FnPtr, FuncRegistration,
    GlobalRuntimeState, ImmutableString, Map, Module, NativeCallContext, RhaiFunc, Scope, ScriptFuncDef, Shared,
    locked_write,
};

use super::failure::exit_value;

/// Maximum depth of a constant of a module.
const MAX_DEPTH: usize = 64;

/// The evaluated top level of a script, on which its functions depend.
pub(crate) struct EvaluatedScript<'a> {
    ast: &'a AST,
    scope: Scope<'static>,
    /// The functions, imports and constants of the script.
    environment: Shared<EncapsulatedEnviron>,
}

impl<'a> EvaluatedScript<'a> {
    /// Evaluates the top level of a script.
    pub(crate) fn new(engine: &Engine, ast: &'a AST) -> Result<Self, Box<EvalAltResult>> {
        let (mut scope, mut global) = (Scope::new(), engine.new_global_runtime_state());
        global.source = ast.source().map(Into::into);
        global.lib.push(ast.shared_lib().clone());
        let _value = evaluate(engine, &mut global, &mut scope, ast).or_else(exit_value)?;
        if let Some(constants) = &global.constants
            && let Some(mut constants) = locked_write(constants)
        {
            constants.values_mut().try_for_each(|value| detach(value, 1))?;
        }
        Ok(Self { ast, scope, environment: Shared::new(EncapsulatedEnviron::from(&global)) })
    }

    /// Prepares the calls of a public function of the script.
    pub(crate) fn prepare(&self, engine: &Engine, name: &str) -> Result<PreparedCall, Box<EvalAltResult>> {
        let function = self.public_functions().find(|function| function.name == name);
        let function = function.ok_or("it is not a public function")?;
        let mut module = Module::new();
        self.add_function(function, &mut module);
        module.build_index();
        let params: Vec<_> = (0..function.params.len()).map(|index| format!("argument_{index}")).collect();
        let call = engine.compile(format!("{CALLED_MODULE}::{}({})", function.name, params.join(", ")))?;
        let params = params.into_iter().map(Into::into).collect();
        Ok(PreparedCall(Shared::new((module.into(), params, call))))
    }

    /// Adds a public function of the script to a module.
    fn add_function(&self, function: &Shared<ScriptFuncDef>, module: &mut Module) {
        FuncRegistration::new(function.name.as_str()).set_into_module_raw(
            module,
            vec![TypeId::of::<Dynamic>(); function.params.len()],
            RhaiFunc::Script { fn_def: function.clone(), env: Some(self.environment.clone()) },
        );
    }

    /// The public functions that can be called without a value of a certain type.
    fn public_functions(&self) -> impl Iterator<Item = &Shared<ScriptFuncDef>> {
        self.ast.iter_fn_def().filter(|function| function.access == FnAccess::Public && function.this_type.is_none())
    }

    /// Converts the script to a module with its public functions, its exported variables and its imports.
    pub(crate) fn into_module(mut self, engine: &Engine) -> Result<Module, Box<EvalAltResult>> {
        let mut global = engine.new_global_runtime_state();
        // Without statements, this only converts the exported variables of the scope.
        let mut module = Module::eval_ast_as_new_raw(engine, &mut self.scope, &mut global, &AST::empty())?;
        let variables: Vec<_> = module.iter_var().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        for (name, mut value) in variables {
            detach(&mut value, 1)?;
            module.set_var(name, value);
        }
        for (name, import) in &self.environment.imports {
            module.set_sub_module(name.as_str(), import.clone());
        }
        for function in self.public_functions() {
            self.add_function(function, &mut module);
        }
        // Rhai finds these by another key, which only this function computes. They cannot call other functions of the
        // module.
        for function in self.ast.iter_fn_def().filter(|function| function.this_type.is_some()) {
            module.set_script_fn(function.clone());
        }
        if let Some(source) = self.ast.source() {
            module.set_id(source);
        }
        module.build_index();
        Ok(module)
    }
}

/// The module of the called function in the expression of a call.
const CALLED_MODULE: &str = "called";

/// The precompiled call of one function: a module with this function alone, the names of the arguments, and the
/// expression of the call. Clones are the same call.
#[derive(Clone)]
pub(crate) struct PreparedCall(Shared<(Shared<Module>, Vec<ImmutableString>, AST)>);

impl PreparedCall {
    /// Number of parameters of the function.
    pub(crate) fn params(&self) -> usize {
        self.0.1.len()
    }

    /// Calls the function at a level of the call stack, with as many arguments as the function has parameters.
    ///
    /// The scope and the global state are fresh. So nothing remains of earlier calls, and the functions of the calling
    /// file do not replace others of the same name.
    pub(crate) fn call(
        &self,
        engine: &Engine,
        args: impl IntoIterator<Item = Dynamic>,
        level: usize,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let (module, params, call) = &*self.0;
        let (mut scope, mut global) = (Scope::new(), engine.new_global_runtime_state());
        for (param, value) in params.iter().zip(args) {
            scope.push_dynamic(param.clone(), value);
        }
        global.level = level;
        global.push_import(CALLED_MODULE, module.clone());
        evaluate(engine, &mut global, &mut scope, call)
    }

    /// Adds the function to a module for other files.
    pub(crate) fn add_to(&self, module: &mut Module, name: &str) {
        let call = self.clone();
        let func = move |context: Option<NativeCallContext<'_>>, args: &mut [&mut Dynamic]| {
            let context = context.expect("`has_context` is set below");
            let args = args.iter_mut().map(|arg| arg.take());
            call.call(context.engine(), args, context.call_level()).map_err(|mut error| {
                error.set_position(context.call_position());
                error
            })
        };
        FuncRegistration::new(name).set_into_module_raw(
            module,
            vec![TypeId::of::<Dynamic>(); self.params()],
            RhaiFunc::Pure { func: Shared::new(func), has_context: true, is_pure: true, is_volatile: true },
        );
    }
}

/// Evaluates the statements of a script. Uses a volatile function of Rhai, which other versions may change.
pub(crate) fn evaluate(
    engine: &Engine,
    global: &mut GlobalRuntimeState,
    scope: &mut Scope<'_>,
    ast: &AST,
) -> Result<Dynamic, Box<EvalAltResult>> {
    #[expect(deprecated, reason = "no other function evaluates statements in a given global state")]
    engine.eval_statements_raw(global, &mut Caches::new(), scope, ast.statements())
}

/// Replaces all values inside of a value that closures share with copies.
fn detach(value: &mut Dynamic, depth: usize) -> Result<(), Box<EvalAltResult>> {
    if depth > MAX_DEPTH {
        return Err(format!("a constant has more than {MAX_DEPTH} levels").into());
    }
    if value.is_shared() {
        *value = value.take().flatten();
    }
    if let Some(mut items) = value.write_lock::<Array>() {
        return items.iter_mut().try_for_each(|item| detach(item, depth + 1));
    }
    if let Some(mut members) = value.write_lock::<Map>() {
        return members.values_mut().try_for_each(|member| detach(member, depth + 1));
    }
    if let Some(mut function) = value.write_lock::<FnPtr>() {
        return function.iter_curry_mut().try_for_each(|captured| detach(captured, depth + 1));
    }
    Ok(())
}
