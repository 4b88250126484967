//! The built-in name-constrained CA.
