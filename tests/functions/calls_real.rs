//! `circles new`, `circles call` and `circles functions` on a real circle.

use serde_json::{Value, json};

use crate::support::{CommandOutput, Home, background::BackgroundCircles, eventually};

fn anonymous(here: &BackgroundCircles, args: &[&str]) -> CommandOutput {
    here.run(&[args, &["--anonymous"]].concat())
}

#[test]
fn new_circle_works_at_once() {
    let here = BackgroundCircles::shop(Home::new());
    assert_eq!(here.run_ok(&["call", "price", "item=tea"]), "2.5\n");
    let list: Value = serde_json::from_str(&here.run_ok(&["call", "catalog.list", "--json"])).expect("JSON");
    assert_eq!(list["value"][0], json!({ "item": "tea", "price": 2.5 }));
    let ran = here.run(&["call", "price", "item=milk"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("price threw"), "{ran:?}");
    assert!(ran.stderr.contains("\"unknown_item\""), "{ran:?}");
    let ran = here.run(&["call", "price", "item="]);
    assert!(ran.code == Some(2) && ran.stderr.contains("cannot call price: item"), "{ran:?}");
    let ran = here.run(&["call", "quote", "item=tea"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("with the role visitor"), "{ran:?}");
    let ran = here.run(&["play", "--circle", "shop", "-e", "1"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
}

#[test]
fn owner_of_a_new_circle_may_call_everything_and_play() {
    let home = Home::new();
    home.add_key("me");
    let here = BackgroundCircles::shop(home);
    let quote: Value =
        serde_json::from_str(&here.run_ok(&["call", "quote", "item=tea", "count=2", "--json"])).expect("JSON");
    assert_eq!(quote["value"], json!({ "customer": "me", "item": "tea", "count": 2, "total": 5.0 }));
    assert_eq!(here.run_ok(&["play", "--circle", "shop", "-e", "circle::price(\"tea\")"]), "2.5\n");
    let listed = here.run_ok(&["functions"]);
    assert!(listed.contains("quote(item: string 1..64, count?: int 1..100 = 1)"), "{listed}");
    let visitor = anonymous(&here, &["functions"]);
    assert!(!visitor.stdout.contains("quote("), "{visitor:?}");
    assert!(visitor.stdout.contains("price(item: string 1..64) -> float\n    The price of an item.\n"), "{visitor:?}");
}

#[test]
fn reload_changes_functions_and_disconnects_nobody() {
    let here = BackgroundCircles::shop(Home::new());
    let price = here.home.path().join("shop/functions/price.rhai");
    let text = std::fs::read_to_string(&price).expect("written");
    std::fs::write(&price, text.replace("circle::catalog::find(item).price", "9.0")).expect("written");
    eventually(|| {
        let ran = here.run(&["call", "price", "item=tea"]);
        if ran.stdout == "9.0\n" { Ok(()) } else { Err(format!("{ran:?}")) }
    });
}

#[test]
fn mistake_in_a_function_keeps_no_removed_member_in() {
    let home = Home::new();
    home.add_key("me");
    let here = BackgroundCircles::shop(home);
    let path = here.home.path().join("shop/functions/price.rhai");
    let mut config: Value =
        serde_json::from_str(&std::fs::read_to_string(here.home.path().join("circles.json")).expect("written"))
            .expect("JSON");
    // The command below applies both changes together.
    config["watch"] = json!(false);
    here.configure(&config.to_string());
    here.run_ok(&["reload"]);
    assert!(here.run_ok(&["call", "quote", "item=tea"]).contains("\"me\""));
    std::fs::write(path, "fn price( {}").expect("written");
    config["circles"][0]["members"] = json!([]);
    here.configure(&config.to_string());
    let ran = here.run(&["reload"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("functions/price.rhai:1:11: "), "{ran:?}");
    assert!(ran.stderr.contains("the new roles and members are in effect, and nothing else"), "{ran:?}");
    let ran = here.run(&["call", "quote", "item=tea"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("with the role visitor"), "{ran:?}");
    assert_eq!(here.run_ok(&["call", "price", "item=tea"]), "2.5\n");
}
