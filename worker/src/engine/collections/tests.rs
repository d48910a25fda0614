use std::collections::BTreeSet;

use rhai::{
    FnAccess, FuncInfo, OptimizationLevel,
    packages::{Package, StandardPackage},
};

use super::*;

/// An engine with the functions of this module, or one with those of the standard package alone.
fn engine(is_ours: bool, limits: &WorkerLimits) -> Engine {
    let mut engine = Engine::new_raw();
    StandardPackage::new().register_into_engine(&mut engine);
    engine.set_optimization_level(OptimizationLevel::None);
    if is_ours {
        register(&mut engine, limits);
    }
    let size = |limit| usize::try_from(limit).expect("it fits");
    engine
        .set_max_string_size(size(limits.string_bytes))
        .set_max_array_size(size(limits.array_items))
        .set_max_map_size(size(limits.map_items));
    engine
}

fn run(engine: &Engine, script: &str) -> String {
    match engine.eval::<Dynamic>(script) {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Compares the results of scripts, errors and their positions included, with those of the standard package.
fn assert_like_standard(limits: &WorkerLimits, scripts: &[String]) {
    let (ours, standard) = (engine(true, limits), engine(false, limits));
    for script in scripts {
        assert_eq!(run(&ours, script), run(&standard, script), "{script}");
    }
}

#[test]
fn functions_behave_like_those_of_the_standard_package() {
    let indexes = ["0", "1", "2", "3", "4", "-1", "-3", "-4", "9223372036854775807", "-9223372036854775808"];
    let calls = [
        "len()",
        "len",
        "is_empty()",
        "is_empty",
        "get(I)",
        "set(I, 7)",
        "set(I, [7])",
        "push(I)",
        "push([I])",
        "push(())",
        "append([I, [I]])",
        "append([])",
        "insert(I, 8)",
        "insert(I, #{a: 1})",
        "pop()",
        "shift()",
        "remove(I)",
        "truncate(I)",
        "push()",
        "push(1, 2)",
        "append(1)",
        "insert('x', 1)",
        "get(1.0)",
    ];
    let mut scripts = Vec::new();
    for (call, index) in calls.iter().flat_map(|call| indexes.map(|index| (call, index))) {
        let call = call.replace('I', index);
        for array in ["[]", "[1]", "[1, 'b', \"c\"]", "[[1, 2], [], [3]]"] {
            scripts.push(format!("let a = {array}; let r = a.{call}; [a, r]"));
            scripts.push(format!("const A = {array}; let r = A.{call}; [A, r]"));
            scripts.push(format!("let m = #{{a: {array}}}; let r = m.a.{call}; [m, r]"));
            scripts.push(format!("let a = [{array}, 1]; let r = a[0].{call}; [a, r]"));
            scripts.push(format!("let a = {array}; let f = || a.{call}; let r = f.call(); [a, r]"));
            scripts.push(format!("fn go() {{ let r = this.{call}; [this, r] }} let a = {array}; [a.go(), a]"));
            if let Some((name, rest)) = call.split_once('(') {
                let comma = if rest == ")" { "" } else { ", " };
                scripts.push(format!("let a = {array}; let r = {name}(a{comma}{rest}; [a, r]"));
                scripts.push(format!("{array}.{call}"));
            }
        }
    }
    let keys = ["\"a\"", "\"b\"", "\"\"", "`é${1}`", "1"];
    let calls = [
        "len()",
        "is_empty()",
        "contains(K)",
        "get(K)",
        "set(K, 5)",
        "set(K, [5])",
        "remove(K)",
        "mixin(#{a: 9, c: 8})",
        "mixin(#{})",
        "fill_with(#{a: 9, c: 8})",
        "fill_with(#{})",
        "len",
        "mixin(1)",
        "set(K)",
    ];
    for (call, key) in calls.iter().flat_map(|call| keys.map(|key| (call, key))) {
        let call = call.replace('K', key);
        for map in ["#{}", "#{a: 1}", "#{a: [1, 2], b: #{c: 3}}"] {
            scripts.push(format!("let m = {map}; let r = m.{call}; [m, r]"));
            scripts.push(format!("const M = {map}; let r = M.{call}; [M, r]"));
            scripts.push(format!("let n = #{{m: {map}}}; let r = n.m.{call}; [n, r]"));
            scripts.push(format!("let m = {map}; let f = || m.{call}; let r = f.call(); [m, r]"));
        }
    }
    for right in ["#{}", "#{a: 9}", "#{z: #{}}", "1"] {
        scripts.push(format!("let m = #{{a: 1}}; m += {right}; m"));
        scripts.push(format!("let m = [#{{a: 1}}]; m[0] += {right}; m"));
        scripts.push(format!("let m = #{{n: #{{a: 1}}}}; m.n += {right}; m"));
    }
    for script in [
        "[[1], [2]].map(|a| a.push(3))",
        "let a = [[1], [2]]; a.for_each(|| this.push(3)); a",
        "[[1], [2]].map(Fn(\"len\"))",
        "let a = [1]; let f = Fn(\"push\"); f.call(a, 2); a",
        "let a = [1]; a.call(Fn(\"push\"), 2); a",
        "let f = Fn(\"push\").curry([1]); f.call(2)",
        "let a = [1]; a.push(a); a.push(a.len()); a.append(a); a",
        "let m = #{}; m.set(\"m\", m); m.mixin(m); m",
        "fn push(a, x) { \"mine\" } let a = []; [a.push(1), push(a, 1)]",
        "let a = [1, 2]; a.pop() + a.shift() + a.len()",
        "let a = [[1, 2], 3]; a.len(); a[0].push(4); a.is_empty; a",
        "const A = [1]; A.push(1)",
        "const M = #{}; M.set(\"a\", 1)",
    ] {
        scripts.push(script.into());
    }
    assert_like_standard(&WorkerLimits::default(), &scripts);
}

#[test]
fn functions_replace_standard_functions() {
    let (ours, standard) = (engine(true, &WorkerLimits::default()), engine(false, &WorkerLimits::default()));
    let signature = |info: FuncInfo<'_>| {
        let function = info.metadata;
        (function.access == FnAccess::Public).then(|| (function.name.to_string(), function.param_types.clone()))
    };
    let known: Vec<_> = standard.collect_fn_metadata(None, signature, true);
    for function in ours.collect_fn_metadata(None, signature, false) {
        assert!(known.contains(&function), "{function:?}");
    }
}

/// Scripts that let a collection grow to a size, by the names of the functions that do.
fn growths(size: usize) -> Vec<(&'static str, String)> {
    let repeat = |grow: &str| format!("for i in 0..{size} {{ {grow} }}");
    let array = |name, grow: &str| (name, format!("let a = []; {} a.len()", repeat(grow)));
    let map = |name, grow: &str| (name, format!("let m = #{{}}; {} m.len()", repeat(grow)));
    vec![
        array("push", "a.push(i)"),
        array("append", "a.append([i])"),
        array("insert first", "a.insert(0, i)"),
        array("insert last", "a.insert(a.len(), i)"),
        array("+=", "a += i"),
        array("+= array", "a += [i]"),
        array("+", "a = a + [i]"),
        array("pad", "a.pad(a.len() + 1, i)"),
        array("splice", "a.splice(0, 0, [i])"),
        array("push in a map", "if i == 0 { a = #{l: []}; } a.l.push(i)"),
        array("push to captured", "let f = |x| a.push(x); f.call(i)"),
        map("set", "m.set(`k${i}`, i)"),
        map("mixin", "let n = #{}; n[`k${i}`] = i; m.mixin(n)"),
        map("fill_with", "let n = #{}; n[`k${i}`] = i; m.fill_with(n)"),
        map("map +=", "let n = #{}; n[`k${i}`] = i; m += n"),
        map("map +", "let n = #{}; n[`k${i}`] = i; m = m + n"),
        ("blob push", format!("let b = blob(); {} b.len()", repeat("b.push(1)"))),
        ("blob append", format!("let b = blob(); {} b.len()", repeat("b.append(\"x\")"))),
        ("blob insert", format!("let b = blob(); {} b.len()", repeat("b.insert(0, 1)"))),
        ("blob +=", format!("let b = blob(); {} b.len()", repeat("b += 1"))),
        ("blob pad", format!("let b = blob(); b.pad({size}, 1); b.len()")),
        ("blob", format!("blob({size}).len()")),
        ("pad at once", format!("let a = []; a.pad({size}, 1); a.len()")),
        ("string +=", format!("let s = \"\"; {} s.len()", repeat("s += \"x\""))),
        ("string +", format!("let s = \"\"; {} s.len()", repeat("s = s + 'x'"))),
        ("template", format!("let s = \"\"; {} s.len()", repeat("s = `${s}x`"))),
        ("string pad", format!("let s = \"\"; s.pad({size}, 'x'); s.len()")),
    ]
}

#[test]
fn every_growing_function_is_limited() {
    let limits = WorkerLimits { array_items: 50, map_items: 50, string_bytes: 50, ..WorkerLimits::default() };
    let engine = engine(true, &limits);
    for ((name, within), (_, beyond)) in growths(50).into_iter().zip(growths(51)) {
        let length = run(&engine, &within);
        assert!(length == "50" || length == "1", "{name}: {length}");
        let error = engine.eval::<Dynamic>(&beyond).expect_err(name);
        assert!(matches!(error.unwrap_inner(), EvalAltResult::ErrorDataTooLarge(..)), "{name}: {error}");
    }
}

#[test]
fn error_about_the_size_is_like_that_of_the_standard_package() {
    let limits = WorkerLimits { array_items: 50, map_items: 50, string_bytes: 50, ..WorkerLimits::default() };
    let scripts: Vec<String> = growths(51)
        .into_iter()
        .flat_map(|(_, script)| {
            let caught = format!("let e = (); try {{ {script} }} catch (error) {{ e = error; }} e");
            [script, caught]
        })
        .collect();
    assert_like_standard(&limits, &scripts);
}

/// Rhai's own count would include the items of the inner arrays, and exceed the limit.
#[test]
fn functions_do_not_count_all_items_at_each_call() {
    let limits = WorkerLimits { array_items: 100, map_items: 100, ..WorkerLimits::default() };
    let (ours, standard) = (engine(true, &limits), engine(false, &limits));
    let array_calls = [
        "len()",
        "len",
        "is_empty()",
        "is_empty",
        "get(0)",
        "set(0, 1)",
        "push(1)",
        "append([1])",
        "insert(1, 1)",
        "remove(0)",
        "truncate(4)",
        "shift()",
        "pop()",
    ];
    let map_calls = [
        "len()",
        "is_empty()",
        "contains(\"a\")",
        "get(\"a\")",
        "set(\"a\", 1)",
        "mixin(#{b: 2})",
        "fill_with(#{b: 2})",
    ];
    let mut reported = BTreeSet::new();
    for call in array_calls {
        // Each of the five inner arrays is smaller than the limit. The first is small.
        let fill = "let a = []; a.pad(5, 0); for i in 1..5 { let b = []; b.pad(80, i); a[i] = b; }";
        let script = format!("{fill} a.{call}; 42");
        assert_eq!(run(&ours, &script), "42", "{call}");
        if run(&standard, &script) == "42" {
            reported.insert(call);
        }
    }
    for call in map_calls {
        let fill = "let m = #{a: 0}; for i in 1..5 { let b = []; b.pad(80, i); m[`k${i}`] = b; }";
        let script = format!("{fill} m.{call}; 42");
        assert_eq!(run(&ours, &script), "42", "{call}");
        if run(&standard, &script) == "42" {
            reported.insert(call);
        }
    }
    assert!(reported.is_empty(), "the standard package does not count either, so these show nothing: {reported:?}");
}
