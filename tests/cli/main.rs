//! End-to-end tests of the `gradproof` binary: what it refuses, what it writes, what it survives.
//! Every model here is trained by the tests themselves for one epoch on 64 images, so nothing is
//! said about accuracy.

mod behaviour;
mod bench;
mod data {
    //! What data and weights mean together.
    mod kinds;
    mod names;
    mod pictures;
    mod splits;
    mod streams;
    mod tables;
}
mod disk;
mod manners;
mod maps {
    //! Maps measured, attacked and judged by other methods.
    mod certify;
    mod elsewhere;
    mod measure;
    mod plane;
    mod rtsal;
    mod stand_in;
    mod transfer;
    mod undefined;
}
mod outputs;
mod pipeline;
mod place;
mod refused {
    //! One line and exit code 2.
    mod data;
    mod names;
    mod numbers;
    mod weights;
}
mod report {
    //! The page of results.
    mod browser;
    mod figures;
}
mod run {
    //! Experiments.
    mod cells;
    mod references;
    mod shards;
}
mod tools;
mod train {
    //! Training.
    mod onnx;
    mod resume;
    mod robust;
}
mod words;
mod workers;
