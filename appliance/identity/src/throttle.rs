//! When a sign-in must wait, as pure arithmetic.
//!
//! A whole school sits behind one address and thirty pupils type at once, so an address may fail
//! often; an account may not. Nothing locks for good: delays double up to a limit and are
//! forgotten after a while.

use std::net::IpAddr;

use belfry_keys::SecretKey;
use belfry_model::{Pii, Timestamp};
use belfry_store::ThrottleRow;
use hmac::{Hmac, Mac};
use sha2::Sha256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Failures of one account before it has to wait.
    pub account_free: i64,
    pub account_delay_ms_max: i64,
    /// Failures from one address before it has to wait.
    pub address_free: i64,
    pub address_delay_ms_max: i64,
    /// Guests from one address before the next has to wait. They have no password to guess, but each
    /// makes a session and an entry in the record.
    pub guests_free: i64,
    pub guest_delay_ms_max: i64,
    /// Failures and guests this old are forgotten.
    pub forget_after_ms: i64,
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        Self {
            account_free: 5,
            account_delay_ms_max: 15 * 60_000,
            address_free: 200,
            address_delay_ms_max: 60_000,
            guests_free: 100,
            guest_delay_ms_max: 60_000,
            forget_after_ms: 60 * 60_000,
        }
    }
}

/// The first delay; each further failure doubles it.
const DELAY_MS_MIN: i64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Go,
    AccountWaits { retry_after_ms: i64 },
    AddressWaits { retry_after_ms: i64 },
}

/// Decides on an attempt, and counts it as a failure of the account at once, so that attempts at
/// the same moment count each other; [`succeeded`] takes it back. `rows`: account, address.
pub(crate) fn attempt(
    rows: &mut [ThrottleRow],
    now: Timestamp,
    limits: &ThrottleLimits,
) -> Decision {
    let [account, address] = rows else { return Decision::Go };
    forget(account, now, limits);
    forget(address, now, limits);
    if account.blocked_until > now {
        return Decision::AccountWaits { retry_after_ms: account.blocked_until.since_ms(now) };
    }
    if address.blocked_until > now {
        return Decision::AddressWaits { retry_after_ms: address.blocked_until.since_ms(now) };
    }
    fail(account, now, limits.account_free, limits.account_delay_ms_max);
    Decision::Go
}

/// The password was wrong: it counts for the address, too.
pub(crate) fn failed(rows: &mut [ThrottleRow], now: Timestamp, limits: &ThrottleLimits) {
    if let [_, address] = rows {
        fail(address, now, limits.address_free, limits.address_delay_ms_max);
    }
}

/// The password was right: the account begins anew. The address does not, or one known password
/// would let it guess the others'.
pub(crate) fn succeeded(rows: &mut [ThrottleRow]) {
    if let Some(account) = rows.first_mut() {
        *account = ThrottleRow::default();
    }
}

/// Decides whether one more guest may come from an address, and counts the guest if so.
pub(crate) fn guest(
    rows: &mut [ThrottleRow],
    now: Timestamp,
    limits: &ThrottleLimits,
) -> Result<(), i64> {
    let [address] = rows else { return Ok(()) };
    forget(address, now, limits);
    if address.blocked_until > now {
        return Err(address.blocked_until.since_ms(now));
    }
    fail(address, now, limits.guests_free, limits.guest_delay_ms_max);
    Ok(())
}

fn forget(row: &mut ThrottleRow, now: Timestamp, limits: &ThrottleLimits) {
    // A clock that was set back must not keep anybody out.
    let age_ms = now.since_ms(row.last_failed_at);
    if age_ms < 0 || age_ms >= limits.forget_after_ms {
        *row = ThrottleRow::default();
    }
}

fn fail(row: &mut ThrottleRow, now: Timestamp, free: i64, delay_ms_max: i64) {
    row.failures = row.failures.saturating_add(1);
    row.last_failed_at = now;
    let beyond = row.failures - free;
    if beyond >= 0 {
        let doublings = u32::try_from(beyond.min(32)).expect("between 0 and 32");
        let delay_ms = (DELAY_MS_MIN << doublings).min(delay_ms_max);
        row.blocked_until = now.plus_ms(delay_ms);
    }
}

/// The rows' subjects: keyed hashes, so that the database holds no address.
pub(crate) fn subjects(key: &SecretKey, username: &str, address: &Pii<IpAddr>) -> Vec<[u8; 32]> {
    vec![
        keyed(key, b"account\0", username.as_bytes()),
        keyed(key, b"address\0", &network(*address.reveal())),
    ]
}

/// The one row of an address from which guests come.
pub(crate) fn guest_subject(key: &SecretKey, address: &Pii<IpAddr>) -> Vec<[u8; 32]> {
    vec![keyed(key, b"guests\0", &network(*address.reveal()))]
}

/// An IPv6 host has the whole /64 to itself.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

pub(crate) fn keyed(key: &SecretKey, domain: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
    mac.update(domain);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use belfry_model::Timestamp;
    use belfry_store::ThrottleRow;

    use super::{Decision, ThrottleLimits, attempt, failed, guest, network, succeeded};

    const LIMITS: ThrottleLimits = ThrottleLimits {
        account_free: 5,
        account_delay_ms_max: 8_000,
        address_free: 3,
        address_delay_ms_max: 60_000,
        guests_free: 2,
        guest_delay_ms_max: 2_000,
        forget_after_ms: 3_600_000,
    };

    #[test]
    fn an_account_waits_longer_each_time_up_to_a_limit() {
        let mut rows = [ThrottleRow::default(); 2];
        let mut now = Timestamp(1_000_000);
        let mut delays = Vec::new();
        for _ in 0..12 {
            if let Decision::AccountWaits { retry_after_ms } = attempt(&mut rows, now, &LIMITS) {
                delays.push(retry_after_ms);
                now = now.plus_ms(retry_after_ms);
                assert_eq!(attempt(&mut rows, now, &LIMITS), Decision::Go);
            }
        }
        assert_eq!(delays[..5], [1_000, 2_000, 4_000, 8_000, 8_000]);
        now = now.plus_ms(LIMITS.forget_after_ms);
        assert_eq!(attempt(&mut rows, now, &LIMITS), Decision::Go);
        assert_eq!(rows[0].failures, 1, "the rest is forgotten");
    }

    #[test]
    fn a_success_clears_the_account_but_not_the_address() {
        let mut rows = [ThrottleRow::default(); 2];
        let now = Timestamp(1_000_000);
        for _ in 0..3 {
            assert_eq!(attempt(&mut rows, now, &LIMITS), Decision::Go);
            failed(&mut rows, now, &LIMITS);
            succeeded(&mut rows);
        }
        assert_eq!(rows[0], ThrottleRow::default());
        let waits = attempt(&mut rows, now, &LIMITS);
        assert_eq!(waits, Decision::AddressWaits { retry_after_ms: 1_000 });
    }

    #[test]
    fn a_clock_set_back_keeps_nobody_out() {
        let mut rows = [ThrottleRow::default(); 2];
        for _ in 0..9 {
            attempt(&mut rows, Timestamp(9_000_000), &LIMITS);
        }
        assert_eq!(attempt(&mut rows, Timestamp(1_000), &LIMITS), Decision::Go);
    }

    #[test]
    fn an_ipv6_host_is_its_network_and_a_mapped_address_is_ipv4() {
        let net = |text: &str| network(text.parse().unwrap());
        assert_eq!(net("2001:db8::1"), net("2001:db8::ffff:1"));
        assert_ne!(net("2001:db8::1"), net("2001:db8:0:1::1"));
        assert_eq!(net("::ffff:10.0.0.7"), net("10.0.0.7"));
    }

    #[test]
    fn guests_from_one_address_wait_longer_each_time_up_to_a_limit() {
        let mut rows = [ThrottleRow::default()];
        let now = Timestamp(1_000_000);
        let mut come = |after_ms| guest(&mut rows, now.plus_ms(after_ms), &LIMITS);
        assert_eq!([come(0), come(0)], [Ok(()); 2]);
        assert_eq!(come(0), Err(1_000));
        assert_eq!([come(1_000), come(1_000)], [Ok(()), Err(2_000)]);
        assert_eq!([come(3_000), come(3_000)], [Ok(()), Err(2_000)]);
        assert_eq!(come(LIMITS.forget_after_ms + 3_000), Ok(()));
    }
}
