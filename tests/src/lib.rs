//! What the tests of the whole workspace share: the workspace read as data.

pub mod workspace;
