//! How long sessions last and how patient the sign-in is.

use belfry_model::Role;
use belfry_settings::Settings;

use crate::throttle::ThrottleLimits;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// When a session ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// After the last request.
    pub idle_ms: i64,
    /// After the sign-in.
    pub absolute_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub admin: Lifetime,
    pub teacher: Lifetime,
    pub student: Lifetime,
    pub guest: Lifetime,
    /// How long a password counts as just typed.
    pub step_up_ms: i64,
    pub throttle: ThrottleLimits,
}

impl Policy {
    /// Of a session; a guest has no role.
    pub fn lifetime_of(&self, role: Option<Role>) -> Lifetime {
        match role {
            Some(Role::Admin | Role::Auditor) => self.admin,
            Some(Role::Teacher) => self.teacher,
            Some(Role::Student) => self.student,
            None => self.guest,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            admin: Lifetime { idle_ms: 15 * MINUTE_MS, absolute_ms: HOUR_MS },
            teacher: Lifetime { idle_ms: 4 * HOUR_MS, absolute_ms: 12 * HOUR_MS },
            student: Lifetime { idle_ms: 4 * HOUR_MS, absolute_ms: 8 * HOUR_MS },
            guest: Lifetime { idle_ms: 2 * HOUR_MS, absolute_ms: 4 * HOUR_MS },
            step_up_ms: 10 * MINUTE_MS,
            throttle: ThrottleLimits::default(),
        }
    }
}

impl From<&Settings> for Policy {
    fn from(settings: &Settings) -> Self {
        let minutes = |count: u32| i64::from(count) * MINUTE_MS;
        let (idle_ms, hours) =
            (minutes(settings.session_idle_minutes()), |count: u32| i64::from(count) * HOUR_MS);
        let default = Self::default();
        Self {
            admin: Lifetime {
                idle_ms: minutes(settings.session_admin_idle_minutes()),
                absolute_ms: hours(settings.session_admin_hours()),
            },
            teacher: Lifetime { idle_ms, absolute_ms: hours(settings.session_teacher_hours()) },
            student: Lifetime { idle_ms, absolute_ms: hours(settings.session_student_hours()) },
            throttle: ThrottleLimits {
                account_free: i64::from(settings.sign_in_account_failures_free()),
                address_free: i64::from(settings.sign_in_address_failures_free()),
                ..default.throttle
            },
            ..default
        }
    }
}
