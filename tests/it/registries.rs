//! What every family promises: sorted names, one line about each, options told from their structs.

use registry::{Described, Entry, Named, Setting};
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

/// What users may type for members of a family, and for the options of each.
struct Words {
    family: &'static str,
    names: Vec<(&'static str, &'static [&'static str])>,
    options: Vec<(&'static str, Vec<Setting>)>,
}

fn words<E: Named>(family: &'static str, entries: &[E]) -> Words {
    let names = entries.iter().map(|e| (e.name(), e.aliases())).collect();
    Words { family, names, options: entries.iter().map(|e| (e.name(), e.options())).collect() }
}

fn all_words() -> Vec<Words> {
    // A place of the command line takes members of both families of attacks.
    let attacks = {
        let (mut one, two) =
            (words("attack", attack::ATTACKS), words("attack", attack::ADVERSARIES));
        one.names.retain(|(name, _)| two.names.iter().all(|(other, _)| other != name));
        one.names.extend(two.names);
        one.options.extend(two.options);
        one
    };
    vec![
        attacks,
        words("architecture", models::zoo::ARCHS),
        words("method", explain::METHODS),
        words("metric", explain::metric::METRICS),
        words("rule", attack::OPTIMIZERS),
        words("objective", train::objective::OBJECTIVES),
        words("optimiser", train::optimizer::OPTIMIZERS),
        words("schedule", train::schedule::SCHEDULES),
        words("kind of data", data::SOURCES),
    ]
}

#[test]
fn an_alias_is_no_other_name() {
    let mut count = 0;
    for Words { family, names, options } in all_words() {
        let mut seen = BTreeSet::new();
        for name in names.iter().flat_map(|(name, aliases)| [&[*name][..], aliases].concat()) {
            assert!(seen.insert(name), "{family}: two members are called `{name}`");
            count += 1;
        }
        for (member, settings) in options {
            let mut seen = BTreeSet::new();
            for key in settings.iter().flat_map(|s| [&[s.name][..], &s.aliases].concat()) {
                assert!(seen.insert(key), "{family} `{member}`: two options are called `{key}`");
            }
        }
    }
    assert!(count > 100, "{count} names");
}

#[test]
fn an_alias_of_an_option_is_of_one_that_is_there() {
    for Member { place, options, .. } in members() {
        let fields = options.fields();
        for (alias, own) in options.all_aliases() {
            assert!(fields.iter().any(|field| field == own), "{place}: no option `{own}`");
            assert!(fields.iter().all(|field| field != alias), "{place}: `{alias}` is an option");
        }
    }
}

/// Settings files may leave the name of a part to another file: an alias is then of one option.
#[test]
fn an_alias_means_one_option_in_all_of_training() {
    for Words { family, options, .. } in all_words() {
        if !["objective", "optimiser", "schedule"].contains(&family) {
            continue;
        }
        let mut known: std::collections::BTreeMap<&str, &str> = Default::default();
        for setting in options.iter().flat_map(|(_, settings)| settings) {
            for alias in &setting.aliases {
                let other = known.insert(alias, setting.name);
                let same = other.is_none_or(|other| other == setting.name);
                assert!(same, "{family}: `{alias}` is {other:?} and `{}`", setting.name);
            }
            let taken =
                options.iter().flat_map(|(_, s)| s).find(|s| s.aliases.contains(&setting.name));
            assert!(taken.is_none(), "{family}: `{}` is an option and an alias", setting.name);
        }
    }
}
