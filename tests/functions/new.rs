//! `circles new`.

use serde_json::Value;

use crate::support::Home;

#[test]
fn new_circle_has_the_users_key_as_an_owner() {
    let home = Home::new();
    let key = home.add_key("me").public_key().to_hex();
    let ran = home.run(&["new", "shop"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("functions/price.rhai"), "{ran:?}");
    assert!(ran.stderr.contains("cd shop\n") && ran.stderr.contains("circles call price item=tea"), "{ran:?}");
    let text = std::fs::read_to_string(home.path().join("shop/circles.json")).expect("written");
    let config: Value = serde_json::from_str(&text).expect("JSON");
    let member = &config["circles"][0]["members"][0];
    assert_eq!((&member["name"], &member["keys"][0], &member["role"]), (&"me".into(), &key.into(), &"owner".into()));
}

#[test]
fn new_circle_overwrites_nothing() {
    let home = Home::new();
    let ran = home.run(&["new", "shop", "here/my shop"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("README.md says how"), "{ran:?}");
    assert!(ran.stderr.contains("cd 'here/my shop'\n"), "{ran:?}");
    let file = home.path().join("here/my shop/README.md");
    std::fs::write(&file, "mine").expect("written");
    let ran = home.run(&["new", "shop", "here/my shop"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("exists already: nothing was overwritten"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "mine");
    let ran = home.run(&["new", "My Shop"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("lower-case letters, digits and dashes"), "{ran:?}");
}

/// The files parse, whoever runs them.
#[test]
fn functions_of_a_new_circle_parse() {
    let home = Home::new();
    assert_eq!(home.run(&["new", "shop"]).code, Some(0));
    for file in ["catalog", "price", "quote"] {
        let ran = home.run(&["play", &format!("shop/functions/{file}.rhai")]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{file}: {ran:?}");
    }
}
