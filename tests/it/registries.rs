//! What every family promises: sorted names, one line about each, options told from their structs.

use registry::{Described, Entry, Named};
use std::collections::BTreeSet;
use toml::{Table, Value};

fn assert_sorted<E: Named>(family: &str, entries: &[E]) {
    let names: Vec<&str> = entries.iter().map(Named::name).collect();
    let sorted: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names, sorted.into_iter().collect::<Vec<_>>(), "{family}: sorted, no name twice");
    for entry in entries {
        let (name, about) = (entry.name(), entry.about());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(name.chars().all(plain), "{family}: `{name}` is not kebab-case");
        assert!(about.len() > 10 && !about.contains('\n'), "{family}: say what `{name}` is");
    }
}

#[test]
fn registries_are_sorted_and_documented() {
    assert_sorted("architectures", models::zoo::ARCHS);
    assert_sorted("methods", explain::METHODS);
    assert_sorted("similarities", explain::similarity::SIMILARITIES);
    assert_sorted("metrics", explain::metric::METRICS);
    assert_sorted("attacks", attack::ATTACKS);
    assert_sorted("adversaries", attack::ADVERSARIES);
    assert_sorted("optimisers of attacks", attack::OPTIMIZERS);
    assert_sorted("objectives", train::objective::OBJECTIVES);
    assert_sorted("optimisers", train::optimizer::OPTIMIZERS);
    assert_sorted("schedules", train::schedule::SCHEDULES);
    assert_sorted("functions", models::toy::FUNCTIONS);
    assert_sorted("kinds of data", data::SOURCES);
}

/// A member's place, its options, and what building it says.
struct Member {
    place: String,
    options: Described,
    build: Box<dyn Fn(Table) -> anyhow::Result<()>>,
}

fn of<T: ?Sized>(family: &str, entries: &'static [Entry<T>]) -> Vec<Member> {
    let member = |entry: &'static Entry<T>| Member {
        place: format!("{family} `{}`", entry.name),
        options: entry.options,
        build: Box::new(|table| (entry.build)(table).map(|_| ())),
    };
    entries.iter().map(member).collect()
}

fn kinds() -> Vec<Member> {
    let member = |kind: &'static data::Source| Member {
        place: format!("kind of data `{}`", kind.name),
        options: kind.options,
        build: Box::new(|table| (kind.build)(table).map(|_| ())),
    };
    data::SOURCES.iter().map(member).collect()
}

/// The members of every family whose members have options.
fn members() -> Vec<Member> {
    [
        of("method", explain::METHODS),
        of("metric", explain::metric::METRICS),
        of("attack", attack::ATTACKS),
        of("adversary", attack::ADVERSARIES),
        of("optimiser of attacks", attack::OPTIMIZERS),
        of("objective", train::objective::OBJECTIVES),
        of("optimiser", train::optimizer::OPTIMIZERS),
        of("schedule", train::schedule::SCHEDULES),
        of("function", models::toy::FUNCTIONS),
        kinds(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_option_of_a_struct_is_described() {
    for Member { place, options, .. } in members() {
        let described: Vec<_> = options.settings().iter().map(|s| s.name).collect();
        assert_eq!(described, options.fields(), "{place}: described, and fields of the struct");
        for setting in options.settings() {
            let (name, about) = (setting.name, setting.about);
            let fits = about.len() > 5 && !about.contains('\n') && !about.ends_with('.');
            assert!(fits, "{place}: say what `{name}` is, in a line");
        }
    }
}

#[test]
fn every_choice_of_an_option_is_described() {
    for Member { place, options, .. } in members() {
        for setting in options.settings() {
            let asked = Table::from_iter([(setting.name.to_owned(), Value::from("?"))]);
            let told = options.read(asked).err().map(|e| e.to_string()).unwrap_or_default();
            let Some((_, known)) = told.split_once("unknown variant `?`, expected") else {
                continue;
            };
            for word in known.split('`').skip(1).step_by(2).filter(|word| *word != setting.name) {
                assert!(
                    setting.about.contains(word),
                    "{place}: `{}` may be `{word}`",
                    setting.name
                );
            }
        }
    }
}

/// As users would write what is listed.
fn written(options: &Described) -> Table {
    let given = options.settings().into_iter().filter(|s| s.default.is_some());
    let pairs: Vec<_> = given.map(|s| s.to_string().replacen(" = ", "=", 1)).collect();
    let mut table = registry::parse(&format!("x:{}", pairs.join(","))).unwrap();
    table.remove("name");
    table
}

#[test]
fn the_listed_defaults_are_the_defaults() {
    for Member { place, options, build } in members() {
        let (usual, listed) = (options.read(Table::new()).unwrap(), written(&options));
        assert_eq!(options.read(listed.clone()).unwrap(), usual, "{place}");
        let mut all = options.examples();
        build(all.clone()).unwrap_or_else(|e| panic!("{place}: {e:#}"));
        all.extend(listed);
        build(all).unwrap_or_else(|e| panic!("{place}: {e:#}"));
    }
}
