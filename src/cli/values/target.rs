//! `--target`: which class is explained.

use std::{convert::Infallible, fmt, str::FromStr};

/// Which class is explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetClass {
    /// Of each image the class that the model predicts.
    Predicted,
    /// Of each image its label.
    Label,
    /// Of all images this class of the model, by name or number.
    Class(String),
}

impl FromStr for TargetClass {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "predicted" => TargetClass::Predicted,
            "label" => TargetClass::Label,
            class => TargetClass::Class(class.to_owned()),
        })
    }
}

/// As users write it.
impl fmt::Display for TargetClass {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            TargetClass::Predicted => "predicted",
            TargetClass::Label => "label",
            TargetClass::Class(class) => class,
        })
    }
}
