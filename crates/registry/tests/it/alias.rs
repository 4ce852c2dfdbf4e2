//! Names of other libraries: what users may type, what they are told, what is kept.

use registry::{Described, Entry, described, own_names, own_table};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Options {
    points: u32,
    inner: String,
}

fn inner(text: &str) -> anyhow::Result<String> {
    own_names(MEMBERS, text)
}

const MEMBERS: &[Entry<String>] = &[
    Entry {
        name: "ig",
        about: "an average over a path",
        options: described::<Options>(&[("points", "of the path"), ("inner", "another member")])
            .alias(&["IntegratedGradients"])
            .option_aliases(&[("n_steps", "points"), ("steps", "points")])
            .nested("inner", inner),
        build: |table| {
            let Options { points, inner } = registry::options(table)?;
            Ok(Box::new(format!("{points} {inner}")))
        },
    },
    Entry {
        name: "zero",
        about: "nothing at all",
        options: Described::NONE,
        build: |_| Ok(Box::new(String::new())),
    },
];

#[test]
fn a_list_gets_our_names() {
    for (typed, own) in [
        ("IntegratedGradients", "ig"),
        ("zero, ig", "zero, ig"),
        ("IntegratedGradients:n_steps=3,zero", "ig:points=3,zero"),
        (
            "ig:inner=\"IntegratedGradients:n_steps=[1, 2],inner=x\"",
            "ig:inner=\"ig:points=[1, 2],inner=x\"",
        ),
        ("ig:inner=IntegratedGradients", "ig:inner=ig"),
        ("other:n_steps=3", "other:n_steps=3"),
        ("ig:n_steps=8/255,more=1", "ig:points=8/255,more=1"),
    ] {
        assert_eq!(own_names(MEMBERS, typed).unwrap(), own, "{typed}");
    }
}

#[test]
fn two_names_of_an_option_are_refused() {
    let told = "`points` and `n_steps` are names of one option; give one of them";
    let error = own_names(MEMBERS, "ig:points=3,n_steps=4").unwrap_err();
    assert_eq!(error.to_string(), told);
    let table = registry::parse("ig:n_steps=4,steps=3").unwrap();
    let error = registry::build("method", MEMBERS, table).unwrap_err();
    assert!(format!("{error:#}").contains("`n_steps` and `steps` are names of one option"));
}

#[test]
fn a_table_is_built_by_any_name() {
    let table = registry::parse("IntegratedGradients:n_steps=4").unwrap();
    assert_eq!(*registry::build("method", MEMBERS, table).unwrap(), "4 ");
    let table = own_table(MEMBERS, "n_steps = 4".parse().unwrap()).unwrap();
    assert_eq!(table.to_string().trim(), "points = 4");
    let table = own_table(MEMBERS, "name = 'IntegratedGradients'".parse().unwrap()).unwrap();
    assert_eq!(table["name"].as_str(), Some("ig"));
}

#[test]
fn errors_name_the_nearest_alias() {
    let told = |text: &str| {
        let built = registry::build("method", MEMBERS, registry::parse(text).unwrap());
        format!("{:#}", built.unwrap_err())
    };
    let known =
        "unknown method `IntegratedGradient`; known, nearest first: ig (IntegratedGradients), zero";
    assert_eq!(told("IntegratedGradient"), known);
    assert!(told("ig:n_step=3").ends_with("; also `n_steps` for `points`, `steps` for `points`"));
}
