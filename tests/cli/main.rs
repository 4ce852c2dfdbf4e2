//! End-to-end tests of the `gradproof` binary: what it refuses, what it writes, what it survives.
//! Every model here is trained by the tests themselves for one epoch on 64 images, so nothing is
//! said about accuracy.

mod behaviour;
mod bench;
mod disk;
mod kinds;
mod measure;
mod names;
mod numbers;
mod outputs;
mod pipeline;
mod place;
mod plane;
mod references;
mod refused_data;
mod refused_weights;
mod refused_words;
mod resume;
mod robust;
mod run;
mod shards;
mod splits;
mod streams;
mod tables;
mod tools;
mod transfer;
mod undefined;
mod words;
