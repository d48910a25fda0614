//! The native stack that deep recursions use.

use super::*;
use crate::child::STACK;

/// A recursion with as much as possible on the native stack for each of its calls: `depth` nested calls.
fn deep_script(depth: usize) -> String {
    format!("fn g(x) {{ x }} fn f(n) {{ {}f(n + 1){} }} f(0)", "g(".repeat(depth), ")".repeat(depth))
}

/// If the stack overflowed, this would end the process of the tests. In a release build, a level uses at most 90 KiB.
#[test]
fn deepest_recursion_leaves_most_of_the_stack() {
    let stack = if cfg!(debug_assertions) { STACK } else { STACK / 8 };
    let run = || {
        let mut session = PlaySession::new(WorkerLimits::default());
        let is_parsed = |depth: &usize| {
            !matches!(session.play(&deep_script(*depth)), EvalOutcome::Limit { kind: LimitKind::ExpressionDepth, .. })
        };
        let depth = (1..=64).rev().find(is_parsed).expect("some depth");
        assert!(depth > 20, "{depth}");
        let limit = EvalOutcome::Limit { kind: LimitKind::CallDepth, max: WorkerLimits::default().call_depth };
        let scripts = [
            deep_script(depth),
            "fn f(n) { [n].map(|x| f(x + 1)) } f(0)".into(),
            "fn f(n) { -(1 + [2 * f(n + 1)][0]) } f(0)".into(),
        ];
        for script in scripts {
            assert_eq!(session.play(&script), limit, "{script}");
        }
        assert_eq!(session.output("fn sum(n) { if n == 0 { 0 } else { n + sum(n - 1) } } sum(200)"), "20100");
    };
    let call = || {
        let deepest = (1..=64).rev().find_map(|depth| calls::deepest_recursion(&deep_script(depth)));
        let limit = EvalOutcome::Limit { kind: LimitKind::CallDepth, max: WorkerLimits::default().call_depth };
        assert_eq!(deepest.expect("some depth"), limit);
    };
    std::thread::Builder::new().stack_size(stack).spawn(call).expect("a thread").join().expect("no panic");
    std::thread::Builder::new().stack_size(stack).spawn(run).expect("a thread").join().expect("no panic");
}
