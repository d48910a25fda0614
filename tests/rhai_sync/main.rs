//! Runs scripts in a pool while rhai has the feature `sync`.

use std::{error::Error, time::Duration};

use worker::{HostError, LimitKind, Pool, RunError};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// Compiles only with the feature.
const fn is_sync<T: Send + Sync>() {}
const _: () = is_sync::<rhai::Engine>();

async fn price((item,): (String,)) -> Result<f64, HostError> {
    if item == "tea" { Ok(2.5) } else { Err("there is none".into()) }
}

fn main() -> Result<(), Box<dyn Error>> {
    worker::run_if_worker();
    tokio::runtime::Runtime::new()?.block_on(async {
        let pool = Pool::builder().function("shop::price", ["item"], price).init("fn twice(x) { x * 2 }").start().await?;
        let mut session = pool.checkout().await?;
        let mut prints = Vec::new();
        let script = "print(item); let list = [1, 2]; list.push(3); let len = || list.len(); \
                      twice(shop::price(item) * len.call())";
        let total: f64 = session.run(script).input("item", "tea").collect_prints(&mut prints).await?;
        assert!((total - 15.0).abs() < f64::EPSILON && prints.len() == 1);
        let fails = async |script| session.run::<()>(script).timeout(Duration::from_millis(100)).await.unwrap_err();
        let mut fails = fails;
        let is_limit = |error: RunError, limit| matches!(error, RunError::Limit { kind, .. } if kind == limit);
        assert!(is_limit(fails("{ let a = []; loop { a.push(blob(10000)); } }").await, LimitKind::Memory));
        assert!(is_limit(fails("fn f(n) { f(n + 1) } f(0)").await, LimitKind::CallDepth));
        assert!(is_limit(fails("loop { print(1) }").await, LimitKind::Output));
        assert!(matches!(fails("loop {}").await, RunError::TimedOut { .. }));
        assert!(matches!(fails("shop::price(\"x\")").await, RunError::HostFunction { .. }));
        Ok(())
    })
}
