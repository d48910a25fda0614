//! Roles and members in circles.json: `circles roles`, `circles admit --role`, warnings, reloads.

use serde_json::{Value, json};

use crate::support::{Home, background::BackgroundCircles, eventually, free_port};

const SHOP: &str = r#"{ "circles": [
  { "name": "sandbox", "port": 0 },
  { "name": "shop", "port": 0, "limits": { "per_minute": 600 },
    "roles": {
      "visitor":  { "call": ["price", "catalog.*"] },
      "customer": { "extends": "visitor", "call": ["order.*"] },
      "clerk":    { "extends": "customer", "call": ["*"], "play": true, "use": ["stock::count", "log"],
                    "subscribe": ["topic:orders", "keys:orders/{key}/"] },
      "agent":    { "call": ["order.place", "price"], "play": true, "per_minute": 120 } },
    "anyone": "visitor", "authenticated": "customer",
    "members": [
      { "name": "alice", "keys": ["0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"], "role": "clerk" }
    ] }
] }"#;

fn home_with(text: &str) -> Home {
    let home = Home::new();
    std::fs::write(home.path().join("circles.json"), text).expect("written");
    home
}

#[test]
fn roles_shows_who_may_do_what_in_circles_that_are_down() {
    let home = home_with(SHOP);
    let ran = home.run(&["roles"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!(ran.stdout, @"
    sandbox: no roles; anyone may play, and use every host module

    shop:
      ROLE      CALLERS        CALL                     PLAY  USE               SUBSCRIBE                        PER MINUTE
      agent     -              order.place price        yes   -                 -                                120
      clerk     alice          *                        yes   log stock::count  keys:orders/{key}/ topic:orders  600
      customer  authenticated  catalog.* order.* price  no    -                 -                                600
      visitor   anyone         catalog.* price          no    -                 -                                600
    ");
    let one = home.run(&["roles", "shop", "--json"]);
    let circles: Value = serde_json::from_str(&one.stdout).expect("JSON");
    assert_eq!(
        circles["circles"][0]["roles"][1],
        json!({
            "name": "clerk", "callers": [], "members": ["alice"], "call": ["*"], "play": true, "use": ["log", "stock::count"],
            "subscribe": ["keys:orders/{key}/", "topic:orders"], "per_minute": 600,
        })
    );
    let all: Value = serde_json::from_str(&home.run(&["roles", "--json"]).stdout).expect("JSON");
    assert_eq!(all["circles"][0], json!({ "name": "sandbox", "access": "open", "roles": null }));
    assert_eq!(all["circles"][1], circles["circles"][0]);
    let mistyped = home.run(&["roles", "shp"]);
    assert!(mistyped.code == Some(2) && mistyped.stderr.contains("did you mean 'shop'?"), "{mistyped:?}");
}

#[test]
fn check_warns_if_anyone_may_call_everything() {
    let text = SHOP.replace(r#""call": ["price", "catalog.*"]"#, r#""call": ["price", "*"]"#);
    let home = home_with(&text);
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("4 roles, 1 members; may play: members (1)"), "{ran:?}");
    let warning = "circles.json:10:15: anyone may call every function";
    assert!(ran.stderr.contains(&format!("warning: {warning}")), "{ran:?}");
    let report: Value = serde_json::from_str(&home.run(&["check", "--json"]).stdout).expect("JSON");
    assert_eq!(report["circles"][1]["functions"], json!(null));
    let warnings = &report["circles"][1]["warnings"];
    assert!(warnings[0].as_str().is_some_and(|text| text.contains(warning)), "{report}");
    assert_eq!((&report["circles"][0]["warnings"], &report["circles"][1]["errors"]), (&json!([]), &json!([])));
    let clean = home_with(SHOP).run(&["check"]);
    assert!(clean.code == Some(0) && clean.stderr.is_empty(), "{clean:?}");
}

#[test]
fn check_shows_faults_of_roles_and_of_function_files() {
    let home = home_with(&SHOP.replace(r#""extends": "visitor""#, r#""extends": "vistor""#));
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    insta::assert_snapshot!(ran.stderr, @r#"
    6 |       "customer": { "extends": "vistor", "call": ["order.*"] },
                                       ^
    error: circles.json:6:32: no role 'vistor'; did you mean 'visitor'?
    "#);
    // A link to nothing is a file that cannot be read, whatever the permissions.
    let home = home_with(&SHOP.replace(r#""anyone": "visitor""#, r#""functions": "shop", "anyone": "visitor""#));
    std::fs::create_dir(home.path().join("shop")).expect("made");
    std::os::unix::fs::symlink("nowhere", home.path().join("shop/price.rhai")).expect("linked");
    let ran = home.run(&["check"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("cannot read shop/price.rhai"), "{ran:?}");
    assert!(ran.stderr.contains("circles.json:10:18"), "{ran:?}");
}

#[test]
fn admit_adds_members_with_names_and_roles() {
    let home = home_with(SHOP);
    let bob = home.add_key("bob").public_key().to_hex();
    let other = home.add_key("other").public_key().to_hex();
    let refused = [
        (&["admit", "shop", "bob"][..], "circles admit CIRCLE KEY --name NAME --role ROLE"),
        (&["admit", "shop", "bob", "--role", "boss"], "no role 'boss': agent, clerk, customer, visitor"),
        (&["admit", "shop", &bob, "--role", "clerk"], "--name NAME"),
        (&["admit", "shop", "bob", "--name", "Bob", "--role", "clerk"], "'Bob' is not a name of a member"),
        (&["admit", "sandbox", "bob", "--role", "clerk"], "has no roles"),
        (&["admit", "sandbox", "bob", "--name", "bob"], "has no roles"),
    ];
    for (arguments, piece) in refused {
        let ran = home.run(arguments);
        assert!(ran.code == Some(2) && ran.stderr.contains(piece), "{arguments:?}: {ran:?}");
    }
    let admitted = home.run(&["admit", "shop", "bob", "--role", "agent"]);
    assert!(admitted.code == Some(0) && admitted.stderr.contains("bob is a member of shop now"), "{admitted:?}");
    assert_eq!(home.run(&["admit", "shop", &other, "--name", "bob"]).code, Some(0));
    let again = home.run(&["admit", "shop", "bob"]);
    assert!(again.code == Some(0) && again.stderr.contains("before"), "{again:?}");
    let text = std::fs::read_to_string(home.path().join("circles.json")).expect("there");
    let member = format!(r#"{{ "name": "bob", "keys": ["{bob}", "{other}"], "role": "agent" }}"#);
    assert!(text.contains(&format!(" }},\n      {member}\n    ] }}")), "{text}");
    let roles: Value = serde_json::from_str(&home.run(&["roles", "shop", "--json"]).stdout).expect("JSON");
    assert_eq!(roles["circles"][0]["roles"][0]["members"], json!(["bob"]));
}

/// The fields that `circles diff` shows for the circle `shop`.
fn changed(here: &BackgroundCircles) -> Value {
    let changes: Value = serde_json::from_str(&here.run_ok(&["diff", "--json"])).expect("JSON");
    let change =
        changes["circles"].as_array().and_then(|circles| circles.iter().find(|circle| circle["name"] == "shop"));
    change.map_or(Value::Null, |change| json!([change["action"], change["fields"]]))
}

#[test]
fn running_circle_gets_changes_of_members_roles_and_functions() {
    let here = BackgroundCircles::start("{}");
    let alice = here.home.add_key("alice").public_key().to_hex();
    here.home.add_key("bob");
    std::fs::create_dir(here.home.path().join("shop")).expect("made");
    let function = here.home.path().join("shop/price.rhai");
    std::fs::write(&function, "fn price() { 1 }").expect("written");
    let port = free_port();
    let config = |roles: Value, alice_role: &str| {
        json!({ "watch": false, "circles": [{
            "name": "shop", "port": port, "functions": "shop", "roles": roles, "anyone": "visitor",
            "members": [{ "name": "alice", "keys": [alice], "role": alice_role }],
        }]})
        .to_string()
    };
    let roles = json!({ "visitor": { "call": ["price"] }, "clerk": { "extends": "visitor", "play": true } });
    here.configure(&config(roles.clone(), "clerk"));
    here.run_ok(&["up"]);
    assert_eq!(here.run_ok(&["play", "--circle", "shop", "--key", "alice", "-e", "40 + 2"]), "42\n");
    assert_eq!(here.run(&["play", "--circle", "shop", "--key", "bob", "-e", "1"]).code, Some(4));
    assert_eq!(changed(&here), json!(["nothing", []]));
    let checked = here.run_ok(&["check"]);
    assert!(checked.contains("; functions: at most 192 workers, 12288 MiB\n"), "{checked}");

    std::fs::write(&function, "fn price() { 2 }").expect("written");
    assert_eq!(changed(&here), json!(["change", ["functions"]]));
    here.run_ok(&["reload"]);
    assert_eq!(changed(&here), json!(["nothing", []]));

    let mut other = roles.clone();
    other["visitor"]["call"] = json!(["price", "order.*"]);
    here.configure(&config(other.clone(), "clerk"));
    assert_eq!(changed(&here), json!(["change", ["roles"]]));
    here.run_ok(&["reload"]);
    assert_eq!(changed(&here), json!(["nothing", []]));

    // A mistake: the reload shows it, and does not speak of other changes.
    std::fs::write(&function, "fn price() { 3 }\nfn other( {}").expect("written");
    let ran = here.run(&["reload"]);
    let expected = "error: not all changes were applied: 'shop' keeps its previous configuration: the new roles and members \
                    are in effect, and nothing else: cannot create the circle: the functions have mistakes:\n       \
                    shop/price.rhai:2:11: ";
    assert!(ran.code == Some(2) && ran.stderr.starts_with(expected), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("^\n  fix this and reload\n"), "{}", ran.stderr);
    std::fs::write(&function, "fn price() { 2 }").expect("written");
    here.run_ok(&["reload"]);

    // A member who may no longer play.
    here.configure(&config(other, "visitor"));
    assert_eq!(changed(&here), json!(["change", ["members"]]));
    here.run_ok(&["reload"]);
    eventually(|| {
        let ran = here.run(&["play", "--circle", "shop", "--key", "alice", "-e", "1"]);
        if ran.code == Some(4) { Ok(()) } else { Err(format!("{ran:?}")) }
    });
}

#[test]
fn saved_function_file_is_applied_automatically() {
    let here = BackgroundCircles::start("{}");
    std::fs::create_dir(here.home.path().join("shop")).expect("made");
    let circle = json!({ "name": "shop", "port": free_port(), "functions": "shop", "roles": { "a": { "play": true } }, "anyone": "a" });
    here.configure(&json!({ "circles": [circle] }).to_string());
    here.run_ok(&["up"]);
    let reconfigured = || here.run_ok(&["logs", "shop"]).matches("reconfigured").count();
    let before = reconfigured();
    std::fs::write(here.home.path().join("shop/price.rhai"), "fn price() { 1 }").expect("written");
    eventually(|| if reconfigured() > before { Ok(()) } else { Err("no change yet".to_owned()) });
}

#[test]
fn serve_takes_roles_as_json() {
    let home = Home::new();
    let faults = [
        (&["serve", "--port", "0", "--roles", "{"][..], "invalid --roles"),
        (&["serve", "--port", "0", "--roles", r#"{ "roles": {}, "anyone": "a" }"#], "anyone: no role 'a'"),
        (&["serve", "--port", "0", "--roles", "{}", "--access", "open"], "cannot be used with"),
        (&["serve", "--port", "0", "--functions", "."], "--roles"),
        (
            &[
                "serve",
                "--port",
                "0",
                "--host",
                "0.0.0.0",
                "--roles",
                r#"{ "roles": { "a": { "play": true } }, "anyone": "a" }"#,
            ],
            "give \"anyone\" a role without \"play\"",
        ),
        (
            &["serve", "--port", "0", "--roles", r#"{ "roles": {} }"#, "--functions", "nowhere"],
            "cannot read the functions",
        ),
        (
            &[
                "serve",
                "--port",
                "0",
                "--roles",
                r#"{ "roles": { "a": {} }, "members": [{ "name": "b", "keys": ["02"], "role": "a" }] }"#,
            ],
            "members[0].keys[0]: ",
        ),
    ];
    for (arguments, piece) in faults {
        let ran = home.run(arguments);
        assert!(ran.code == Some(2) && ran.stderr.contains(piece), "{arguments:?}: {ran:?}");
    }
}
