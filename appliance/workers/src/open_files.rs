//! How many files, sockets among them, this process may have open. Systems start a process with 1,024
//! for the sake of programs that use `select`, and let it have many more if it asks.

use std::io;

use crate::sys;

/// Files that are open besides those that a limit of connections is about: databases, logs,
/// listeners, wakers, links to workers.
const RESERVED: u64 = 256;

/// Lets this process, and those that it starts, have as many as the system allows. To be called
/// before anything is opened; returns how many these are.
pub fn raise() -> io::Result<u64> {
    let (now, most) = sys::open_files()?;
    if now < most {
        sys::set_open_files(most, most)?;
    }
    sys::open_files().map(|(now, _)| now)
}

/// How many connections of `files_each` may be open at once: `wanted`, or as many as there are
/// files for.
pub fn connections_max(wanted: usize, files_each: u64) -> usize {
    let files = sys::open_files().map_or(u64::MAX, |(now, _)| now);
    fitting(wanted, files_each, files)
}

fn fitting(wanted: usize, files_each: u64, files: u64) -> usize {
    let most = files.saturating_sub(RESERVED) / files_each.max(1);
    usize::try_from(most).map_or(wanted, |most| wanted.min(most.max(1)))
}

#[cfg(test)]
mod tests {
    use super::{fitting, raise};
    use crate::sys;

    #[test]
    fn all_that_the_system_allows_is_taken() {
        let raised = raise().expect("a process may raise its own limit to the highest");
        assert_eq!(sys::open_files().expect("it is readable"), (raised, raised));
    }

    #[test]
    fn no_more_connections_are_taken_than_there_are_files_for() {
        assert_eq!(fitting(4_096, 2, 1_048_576), 4_096);
        assert_eq!(fitting(4_096, 2, 4_096), 1_920);
        assert_eq!(fitting(4_096, 2, 64), 1, "it still says what is wrong, one at a time");
    }
}
