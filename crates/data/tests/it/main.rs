//! What is read of data people have, and what they are told of data that cannot be read.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod batches;
mod fetch;
mod folders;
mod loaders;
mod parquet;
mod parts;
mod pictures;
mod published;
mod shapes;
mod table {
    //! CSV and ARFF.
    mod columns;
    mod reading;
    mod spellings;
}
mod words;
