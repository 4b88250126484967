//! Every key's home.
