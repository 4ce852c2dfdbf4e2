//! Which columns hold pictures and labels, and what the labels are called.

use anyhow::{Context, Result, bail, ensure};
use parquet::{
    basic::{LogicalType, Type as Physical},
    file::metadata::FileMetaData,
    record::Field,
    schema::types::{Type, TypePtr},
};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, sync::Arc};
use tensorfile::words::count;

/// Columns by their names.
pub(super) struct Columns {
    /// That of the encoded pictures.
    pub picture: String,
    /// That of the classes, if there is one, and their names, if the file says them.
    label: Option<(String, Option<Vec<String>>)>,
    /// Those that are not read.
    others: Vec<String>,
}

/// Labels in numbers.
pub(super) struct Labels {
    pub of: Vec<i64>,
    pub classes: Vec<String>,
    /// Whether the data say these names.
    pub named: bool,
}

impl Columns {
    /// Errors: no column of pictures or more than one; more than one of classes, none of which is `asked` for;
    /// no column that is called so.
    pub fn of(about: &FileMetaData, asked: Option<&str>) -> Result<Self> {
        let features = features(about);
        let fields = about.schema_descr().root_schema().get_fields();
        let is = |name: &str, kind: &str| features.get(name).is_some_and(|f| f["_type"] == kind);
        let names = |of: &dyn Fn(&TypePtr) -> bool| -> Vec<String> {
            fields.iter().filter(|field| of(field)).map(|field| field.name().to_owned()).collect()
        };
        let picture = match names(&|field| is(field.name(), "Image") && has_bytes(field)) {
            found if !found.is_empty() => found,
            _ => names(&|field| has_bytes(field)),
        };
        let all = names(&|_| true).join(", ");
        ensure!(picture.len() < 2, "several columns hold pictures: {}", picture.join(", "));
        let picture = picture.into_iter().next();
        let picture = picture.with_context(|| {
            format!(
                "no column holds pictures; it has {all}; write a table as csv: \
                 `pandas.read_parquet(…).to_csv(\"set.csv\", index=False)`"
            )
        })?;
        let label = match names(&|field| is(field.name(), "ClassLabel")) {
            found if !found.is_empty() => found,
            _ => names(&|field| ["label", "labels"].contains(&field.name()) && is_label(field)),
        };
        let label = match (asked, &label[..]) {
            (Some(asked), _) => {
                let found = fields.iter().find(|field| field.name() == asked && is_label(field));
                ensure!(found.is_some(), "no column `{asked}` of classes; it has {all}");
                Some(asked.to_owned())
            }
            (None, []) => None,
            (None, [label]) => Some(label.clone()),
            (None, several) => bail!(
                "several columns hold classes: {}; name one with `--label-column`",
                several.join(", ")
            ),
        };
        let read = |name: &String| *name == picture || Some(name) == label.as_ref();
        let others = names(&|_| true).into_iter().filter(|name| !read(name)).collect();
        let label = label.map(|label| {
            let names = features.get(&label).and_then(|feature| strings(&feature["names"]));
            (label, names)
        });
        Ok(Columns { picture, label, others })
    }

    /// Whether another file's rows may follow.
    pub fn same(&self, other: &Columns) -> bool {
        self.picture == other.picture && self.label == other.label
    }

    /// What is read of `schema`.
    pub fn wanted(&self, schema: &Type) -> Result<Type> {
        let label = self.label.as_ref().map(|(label, _)| label.as_str());
        let is = |field: &&TypePtr| field.name() == self.picture || Some(field.name()) == label;
        let fields = schema.get_fields().iter().filter(is).cloned().collect();
        Ok(Type::group_type_builder(schema.name()).with_fields(fields).build()?)
    }

    /// What is said of columns that are not read.
    pub fn passed(&self) -> Option<String> {
        let (n, names) = (self.others.len(), self.others.join(", "));
        (n > 0).then(|| format!("{} passed over: {names}", count(n, "column")))
    }

    /// Labels as numbers of classes; none where no row has one. Errors: no number of a class, some rows with
    /// a label and some without.
    pub fn numbers(&self, labels: Vec<Field>) -> Result<Option<Labels>> {
        let Some((column, names)) = &self.label else { return Ok(None) };
        if let Some(Field::Str(_)) = labels.first() {
            return words(labels, column).map(Some);
        }
        let of: Option<Vec<i64>> = labels.iter().map(whole).collect();
        let of = of.with_context(|| format!("`{column}` holds no whole numbers"))?;
        // A set for a competition has -1 where it tells no label.
        if of.iter().all(|&label| label == -1) {
            return Ok(None);
        }
        let most = of.iter().copied().max().unwrap_or_default();
        let classes = match names {
            Some(names) => names.clone(),
            None => (0..=most.min(1 << 20)).map(|class| class.to_string()).collect(),
        };
        for (row, &label) in of.iter().enumerate() {
            ensure!(
                (0..classes.len() as i64).contains(&label),
                "`{column}` is {label} in row {row} of them all; classes are 0 to {}",
                classes.len() - 1
            );
        }
        Ok(Some(Labels { of, classes, named: names.is_some() }))
    }
}

/// Labels that are words: numbered in the order of the alphabet.
fn words(labels: Vec<Field>, column: &str) -> Result<Labels> {
    let word = |label: Field| match label {
        Field::Str(word) => Some(word),
        _ => None,
    };
    let words: Option<Vec<String>> = labels.into_iter().map(word).collect();
    let words = words.with_context(|| format!("`{column}` holds words and other things"))?;
    let classes: Vec<String> = words.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let of = words.iter().map(|word| classes.partition_point(|class| class < word) as i64);
    Ok(Labels { of: of.collect(), classes, named: true })
}

/// What the metadata of Hugging Face's `datasets` say of each column.
fn features(about: &FileMetaData) -> Map<String, Value> {
    let pairs = about.key_value_metadata().into_iter().flatten();
    let text = pairs.filter(|pair| pair.key == "huggingface").find_map(|pair| pair.value.as_ref());
    let told: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    told["info"]["features"].as_object().cloned().unwrap_or_default()
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// Whether a column may be one of pictures: bytes that are no text, or a group that has such.
fn has_bytes(field: &TypePtr) -> bool {
    match field.as_ref() {
        Type::GroupType { fields, .. } => {
            fields.iter().any(|field| field.name() == "bytes" && is_binary(field))
        }
        Type::PrimitiveType { .. } => is_binary(field),
    }
}

fn is_binary(field: &Arc<Type>) -> bool {
    let bytes = field.is_primitive() && field.get_physical_type() == Physical::BYTE_ARRAY;
    bytes && !is_text(field)
}

fn is_text(field: &Type) -> bool {
    field.get_basic_info().logical_type_ref() == Some(&LogicalType::String)
}

/// Whether a column may be one of classes: whole numbers or text.
fn is_label(field: &TypePtr) -> bool {
    let kind = field.is_primitive().then(|| field.get_physical_type());
    matches!(kind, Some(Physical::INT32 | Physical::INT64)) || (kind.is_some() && is_text(field))
}

fn whole(label: &Field) -> Option<i64> {
    match *label {
        Field::Byte(n) => Some(n.into()),
        Field::Short(n) => Some(n.into()),
        Field::Int(n) => Some(n.into()),
        Field::Long(n) => Some(n),
        Field::UByte(n) => Some(n.into()),
        Field::UShort(n) => Some(n.into()),
        Field::UInt(n) => Some(n.into()),
        Field::ULong(n) => n.try_into().ok(),
        _ => None,
    }
}
