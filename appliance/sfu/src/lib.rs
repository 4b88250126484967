//! The media core, sans-IO.
