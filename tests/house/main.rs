//! Checks that hold over the whole house. Each rule is a function from data to violations, tried on
//! the workspace as it is and on a seeded violation that it has to find.

mod doors;
mod layers;
mod tidy;
