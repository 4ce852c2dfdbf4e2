//! Training on MPI.
