//! Testkit and the checks that hold over the whole workspace.
