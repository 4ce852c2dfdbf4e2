//! What users type, and what they are told of options.

use registry::{Described, described};
use serde::{Deserialize, Serialize};

#[test]
fn options_are_read_as_typed_values() {
    let asked = "ig:samples=5, sigma=0.1,from=grey,exact=true,betas=[0.9, 0.99],path=\"a,b=c\"";
    let table = registry::parse(asked).unwrap();
    assert_eq!(table["name"].as_str(), Some("ig"));
    assert_eq!(table["samples"].as_integer(), Some(5));
    assert_eq!(table["sigma"].as_float(), Some(0.1));
    assert_eq!(table["from"].as_str(), Some("grey"));
    assert_eq!(table["exact"].as_bool(), Some(true));
    assert_eq!(table["betas"].as_array().map(Vec::len), Some(2));
    assert_eq!(table["path"].as_str(), Some("a,b=c"));
    assert_eq!(registry::parse("gxi").unwrap().len(), 1);
    assert_eq!(registry::parse("gxi:").unwrap().len(), 1);
    for (bad, told) in [
        ("ig:samples", "`samples` in `ig:samples`: expected `key=value`"),
        ("ig:name=x", "the name stands before the colon"),
        ("ig:a=1,a=2", "says `a` twice"),
    ] {
        let error = registry::parse(bad).unwrap_err().to_string();
        assert!(error.contains(told), "{bad}: {error}");
    }
}

#[test]
fn a_table_is_spelled_as_it_was_parsed() {
    for text in [
        "gxi",
        "ig:points=5,rule=left",
        "smooth:inner=\"ig:points=3\",size=0.1",
        "a:b=[[0, 1], [1, 0]]",
        "a:b=\"5\",c=\"true\",d=\"[x\"",
    ] {
        let table = registry::parse(text).unwrap();
        assert_eq!(registry::spelled(&table), text);
        assert_eq!(registry::parse(&registry::spelled(&table)).unwrap(), table);
    }
}

#[test]
fn lists_keep_options_with_their_member() {
    let list = "gxi,smoothgrad:sigma=0.1,samples=5, ig:betas=[1,2],from=black,saliency";
    let members =
        ["gxi", "smoothgrad:sigma=0.1,samples=5", "ig:betas=[1,2],from=black", "saliency"];
    assert_eq!(registry::split(list), members);
    assert_eq!(registry::split("gxi"), ["gxi"]);
    let quoted = "smooth:samples=3,inner=\"ig:points=2,rule=left\",size=0.1,rtsal:masker=a:b";
    let members = ["smooth:samples=3,inner=\"ig:points=2,rule=left\",size=0.1", "rtsal:masker=a:b"];
    assert_eq!(registry::split(quoted), members);
}

#[test]
fn fractions_are_finite_numbers() {
    for (text, value) in
        [("8/255", 8. / 255.), ("0.0314", 0.0314), (" 8 / 2 ", 4.), ("-1/4", -0.25), ("2e-3", 2e-3)]
    {
        assert_eq!(registry::parse_fraction(text).unwrap(), value, "{text}");
    }
    let bad =
        ["", "/", "1/", "/2", "9/0", "9/-0.0", "nan", "inf", "1e400", "1e308/1e-308", "1/2/3"];
    for text in bad.into_iter().chain(["nan/1", "1/inf", "8/255px", "0x10"]) {
        let told = registry::parse_fraction(text).unwrap_err().to_string();
        assert!(told.contains(&format!("`{text}`")) && told.contains("8/255"), "{told}");
    }
    #[derive(serde::Deserialize)]
    struct Options {
        #[serde(deserialize_with = "registry::fraction")]
        eps: f64,
    }
    let read = |text: &str| toml::from_str::<Options>(text).map(|o| o.eps);
    assert_eq!(read("eps = '8/255'").unwrap(), 8. / 255.);
    assert_eq!((read("eps = 2").unwrap(), read("eps = 0.5").unwrap()), (2., 0.5));
    for bad in ["eps = '9/0'", "eps = nan", "eps = inf", "eps = true", "eps = [1]"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Example {
    rate: f64,
    #[serde(default = "radius", deserialize_with = "registry::fraction")]
    radius: f64,
    #[serde(default)]
    way: Way,
    samples: Option<u64>,
}

fn radius() -> f64 {
    4. / 255.
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    #[default]
    Uphill,
    DownHill,
}

const EXAMPLE: Described = described::<Example>(&[
    ("rate", "length of a step"),
    ("radius", "of the ball, in [0, 1] pixels"),
    ("way", "uphill or down-hill"),
    ("samples", "draws; 10 uphill, else 20"),
])
.needing(&[("rate", "0.1")]);

#[test]
fn options_are_told_from_their_struct() {
    let settings = EXAMPLE.settings();
    let told: Vec<String> = settings.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["rate (required)", "radius = 4/255", "way = uphill", "samples"]);
    let kinds: Vec<_> = settings.iter().map(|s| s.kind()).collect();
    assert_eq!(kinds, [None, Some("float"), Some("string"), None]);
    assert_eq!(EXAMPLE.fields(), ["rate", "radius", "way", "samples"]);
    assert!(Described::NONE.settings().is_empty() && Described::NONE.fields().is_empty());
}

#[test]
fn a_struct_says_what_it_does_not_take() {
    let read = |asked: &str| {
        let mut table = registry::parse(asked).unwrap();
        table.remove("name");
        EXAMPLE.read(table)
    };
    assert_eq!(read("example:way=down-hill").unwrap()["way"].as_str(), Some("down-hill"));
    let told = read("example:way=left").unwrap_err().to_string();
    assert!(told.contains("`uphill` or `down-hill`") && told.contains("`way`"), "{told}");
    assert!(read("example:smaples=3").is_err());
}

#[test]
fn an_enum_says_its_words() {
    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Colour {
        Grey,
        DarkBlue,
    }
    assert_eq!(registry::words::<Colour>(), ["grey", "dark-blue"]);
    assert_eq!(registry::word(&Colour::DarkBlue), "dark-blue");
    assert!(registry::words::<String>().is_empty());
}

#[test]
fn a_name_may_read_as_a_number() {
    #[derive(Deserialize)]
    struct Named {
        column: registry::Text,
    }
    let read = |text: &str| {
        let mut table = registry::parse(&format!("x:column={text}"))?;
        table.remove("name");
        registry::options::<Named>(table).map(|named| named.column.0)
    };
    for (text, name) in
        [("mass", "mass"), ("400", "400"), ("1.5", "1.5"), ("true", "true"), ("\"1.50\"", "1.50")]
    {
        assert_eq!(read(text).unwrap(), name);
    }
    let told = read("[1]").unwrap_err().to_string();
    assert!(told.contains("`[1]` is no name in `column`"), "{told}");
}
