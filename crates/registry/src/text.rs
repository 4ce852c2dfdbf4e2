//! Text of a user's, which the parser may have taken for a number.

use serde::{Deserialize, Deserializer, Serialize};
use toml::Value;

/// For serde fields: a word or a name, such as that of a column, also where it reads as a number or as
/// `true`. A number is written as TOML writes it (`1.50` as `1.5`), unless it stands in quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::String(text) => Ok(Text(text)),
            other @ (Value::Array(_) | Value::Table(_)) => {
                Err(serde::de::Error::custom(format!("`{other}` is no name")))
            }
            other => Ok(Text(other.to_string())),
        }
    }
}
