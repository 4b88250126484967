//! HTTP edges for machines.
