//! A row: what a number is of, and the number. In JSON one flat object, which pandas reads as it is.

use crate::{Number, Sample, sample};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The key that says which quantity a number is.
pub const QUANTITY: &str = "quantity";

/// What a number is of: `model`, `method`, `attack`, `eps`, …, `quantity`.
pub type Keys = BTreeMap<String, String>;

/// Keys of borrowed words.
pub fn keys<const N: usize>(pairs: [(&str, &str); N]) -> Keys {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A number and what it is of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What the number is of.
    #[serde(flatten)]
    pub keys: Keys,
    /// The number.
    #[serde(flatten)]
    pub number: Number,
    /// Why it is undefined at images, and at how many of them; empty where that was not kept.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u64>,
    /// One value an image, in the order of the data, NaN where undefined; empty where they were not
    /// kept and where the number is over no images. In JSON, NaN is `null`, infinity `"inf"`.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "sample::spelled")]
    pub values: Vec<f64>,
}

impl<'de> Deserialize<'de> for Row {
    /// Strings are keys, everything else but the reasons and the values is of the number.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut all = Map::<String, Value>::deserialize(from)?;
        let reasons = all.remove("reasons").map(serde_json::from_value).transpose();
        let reasons = reasons.map_err(D::Error::custom)?.unwrap_or_default();
        let values = all.remove("values").map_or(Ok(vec![]), sample::spelled::deserialize);
        let values = values.map_err(D::Error::custom)?;
        let (mut keys, mut number) = (Keys::new(), Map::new());
        for (key, value) in all {
            match value {
                Value::String(text) => drop(keys.insert(key, text)),
                value => drop(number.insert(key, value)),
            }
        }
        let number = serde_json::from_value(Value::Object(number)).map_err(D::Error::custom)?;
        Ok(Row { keys, number, reasons, values })
    }
}

impl Row {
    /// The number of `quantity`, of what `keys` say.
    pub fn new(keys: &Keys, quantity: &str, of: impl Into<Sample>) -> Self {
        let mut keys = keys.clone();
        keys.insert(QUANTITY.into(), quantity.into());
        let Sample { number, values } = of.into();
        Row { keys, number, reasons: BTreeMap::new(), values }
    }

    /// The value of a key; empty where the row has none.
    pub fn key(&self, key: &str) -> &str {
        self.keys.get(key).map_or("", String::as_str)
    }

    /// Which quantity it is.
    pub fn quantity(&self) -> &str {
        self.key(QUANTITY)
    }

    /// Whether every key of `wanted` has its value here.
    pub fn matches<'a>(&self, wanted: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
        wanted.into_iter().all(|(key, value)| self.keys.get(key).is_some_and(|v| v == value))
    }
}
