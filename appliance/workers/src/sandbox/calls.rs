//! The system calls that a worker may make: those that threads, memory, clocks and open descriptors
//! need, and sockets where the work is to serve the network. The others fail with `EPERM`: no
//! program is started, no file opened, no other process looked into, no memory made executable.
//!
//! **Invariant:** a worker starts no connection, whatever its kind.

use std::collections::BTreeMap;

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, CLONE_THREAD, ENOSYS, EPERM, FIONBIO, FIONREAD, NETLINK_ROUTE,
    PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PROT_EXEC, SECCOMP_SET_MODE_FILTER, TCGETS, c_long,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter, apply_filter_all_threads,
};

use super::Network;

/// Calls that every worker may make, whatever their arguments.
const ALWAYS: &[c_long] = &[
    // Descriptors that are open.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_dup,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    // Sockets that are open, the link to the parent among them.
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // Connected to nobody but this process: async runtimes wake themselves by a pair.
    libc::SYS_socketpair,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // Threads; `clone3` is answered otherwise, see below.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_tgkill,
    // Signals, time, chance.
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_uname,
];

/// Names that older interfaces have on this processor only.
#[cfg(target_arch = "x86_64")]
const ALWAYS_HERE: &[c_long] = &[libc::SYS_poll, libc::SYS_epoll_wait, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const ALWAYS_HERE: &[c_long] = &[];

/// Of those who serve the network, in addition.
const SERVING: &[c_long] = &[libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4];

/// Of those who take streams on a socket that their parent has opened.
const ACCEPTING: &[c_long] = &[libc::SYS_accept, libc::SYS_accept4];

/// Of those who keep files, in addition; which files, the rules of Landlock say.
const KEEPING: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getcwd,
    libc::SYS_readlinkat,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_umask,
    libc::SYS_geteuid,
];

/// Names that older interfaces have on this processor only.
#[cfg(target_arch = "x86_64")]
const KEEPING_HERE: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_readlink,
];
#[cfg(not(target_arch = "x86_64"))]
const KEEPING_HERE: &[c_long] = &[];

/// Calls that open what is listened on; none of them is needed any more once all is open.
const OPENING: &[c_long] = &[libc::SYS_socket, libc::SYS_bind, libc::SYS_listen];

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Refuses this thread, and those that it starts, all other calls.
pub(super) fn allow_only_needed(
    network: Network,
    keeps_files: bool,
) -> Result<(), seccompiler::Error> {
    let refused = SeccompAction::Errno(EPERM as u32);
    // The flags of `clone3` lie in memory, where no filter looks; told that it does not exist, the
    // C library asks by `clone`.
    let unknown: Rules = [(libc::SYS_clone3, Vec::new())].into();
    apply_filter(&program(unknown, SeccompAction::Allow, SeccompAction::Errno(ENOSYS as u32))?)?;
    apply_filter(&program(needed(network, keeps_files)?, refused, SeccompAction::Allow)?)
}

/// Refuses all threads to open anything further to listen on.
pub(super) fn refuse_opening() -> Result<(), seccompiler::Error> {
    let rules: Rules = OPENING.iter().map(|call| (*call, Vec::new())).collect();
    let refused = SeccompAction::Errno(EPERM as u32);
    apply_filter_all_threads(&program(rules, SeccompAction::Allow, refused)?)
}

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let here = std::env::consts::ARCH.try_into().map_err(seccompiler::Error::Backend)?;
    let filter = SeccompFilter::new(rules, otherwise, matched, here);
    filter.and_then(TryInto::try_into).map_err(seccompiler::Error::Backend)
}

fn needed(network: Network, keeps_files: bool) -> Result<Rules, seccompiler::Error> {
    let mut rules: Rules =
        ALWAYS.iter().chain(ALWAYS_HERE).map(|call| (*call, Vec::new())).collect();
    let not_executable = || rule([bits(2, PROT_EXEC as u64, 0)]);
    rules.insert(libc::SYS_mmap, vec![not_executable()?]);
    rules.insert(libc::SYS_mprotect, vec![not_executable()?]);
    let thread = CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![rule([bits(0, thread, thread)])?]);
    // A further filter can only take more away.
    rules.insert(libc::SYS_seccomp, vec![rule([is(0, SECCOMP_SET_MODE_FILTER.into())])?]);
    let controls = [PR_SET_NAME, PR_SET_NO_NEW_PRIVS].map(|option| rule([is(0, option as u64)]));
    rules.insert(libc::SYS_prctl, controls.into_iter().collect::<Result<_, _>>()?);
    // Reading limits, of this process: no new ones.
    rules.insert(libc::SYS_prlimit64, vec![rule([is(0, 0), is_all(2, 0)])?]);
    let asked = [FIONBIO, FIONREAD, TCGETS].map(|request| rule([is(1, request)]));
    rules.insert(libc::SYS_ioctl, asked.into_iter().collect::<Result<_, _>>()?);
    if keeps_files {
        rules.extend(KEEPING.iter().chain(KEEPING_HERE).map(|call| (*call, Vec::new())));
    }
    if network == Network::Accepts {
        rules.extend(ACCEPTING.iter().map(|call| (*call, Vec::new())));
    }
    if network == Network::Serves {
        rules.extend(SERVING.iter().map(|call| (*call, Vec::new())));
        // Netlink names this machine's own addresses.
        let sockets = [
            rule([is(0, AF_INET as u64)])?,
            rule([is(0, AF_INET6 as u64)])?,
            rule([is(0, AF_NETLINK as u64), is(2, NETLINK_ROUTE as u64)])?,
        ];
        rules.insert(libc::SYS_socket, sockets.into());
    }
    Ok(rules)
}

type Condition = Result<SeccompCondition, seccompiler::BackendError>;

fn rule<const N: usize>(conditions: [Condition; N]) -> Result<SeccompRule, seccompiler::Error> {
    let conditions: Result<Vec<_>, _> = conditions.into_iter().collect();
    conditions.and_then(SeccompRule::new).map_err(seccompiler::Error::Backend)
}

/// Argument `number`, as 32 bits, is `value`.
fn is(number: u8, value: u64) -> Condition {
    SeccompCondition::new(number, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// Argument `number`, as 64 bits, is `value`.
fn is_all(number: u8, value: u64) -> Condition {
    SeccompCondition::new(number, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

/// The bits `mask` of argument `number` are `value`.
fn bits(number: u8, mask: u64, value: u64) -> Condition {
    SeccompCondition::new(number, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}
