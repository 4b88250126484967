//! The audit vocabulary: a closed set of events and their canonical form.
