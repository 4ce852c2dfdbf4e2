//! Files of tensors in every form that is read, and broken and hostile ones.

mod checkpoints;
mod pickles;
