//! The control plane's SQLite.
