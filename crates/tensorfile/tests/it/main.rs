//! Files of tensors in every form that is read, and broken and hostile ones.

mod checkpoints;
mod onnx;
mod onnx_broken;
mod onnx_write;
mod pickles;
