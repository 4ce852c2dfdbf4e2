//! What a command gives back. Only the command line prints it; a run keeps the numbers.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

/// Text for people and one JSON object.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is printed without `--json`, line by line.
    pub text: String,
    /// What is printed with it.
    pub json: Value,
    /// Why the command has not succeeded although it has this to say.
    pub failed: Option<String>,
}

/// The error of [`Outcome::failed`]: exit code 1.
#[derive(Debug)]
pub struct Failed(pub String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

impl Outcome {
    /// Adds a line, or several, for people.
    pub fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// With the object of `--json`.
    pub fn with(self, json: &impl Serialize) -> Result<Self> {
        Ok(Outcome { json: serde_json::to_value(json)?, ..self })
    }
}
