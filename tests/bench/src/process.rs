//! What /proc says of a process.

use std::time::Duration;

use anyhow::Context as _;

/// Kernel ticks per second in /proc (`USER_HZ`), which is 100 on every architecture that we run on.
const TICKS_PER_SECOND: u64 = 100;

/// utime + stime of all threads.
pub(crate) fn cpu_time(process_id: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat"))?;
    // The name may hold spaces; what follows its closing parenthesis does not.
    let (_, rest) = stat.rsplit_once(") ").context("a stat line")?;
    let field = |index: usize| -> anyhow::Result<u64> {
        Ok(rest.split(' ').nth(index).context("a field of stat")?.parse()?)
    };
    // Fields 14 and 15 of proc_pid_stat(5); the first after the name is field 3.
    let ticks = field(11)? + field(12)?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// Resident memory in kB.
pub(crate) fn memory_kb(process_id: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
