//! The media process.
