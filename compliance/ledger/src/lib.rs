//! The audit database: append returns a receipt.
