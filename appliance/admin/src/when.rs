//! Dates and times as people read them (UTC), and times of day as forms send them.

use belfry_admin_ui::say_with;
use belfry_model::Timestamp;

const DAY_SECS: i64 = 86_400;

/// Year, month (1 to 12) and day of a day since 1970-01-01 in the Gregorian calendar.
fn civil(day: i64) -> (i64, i64, i64) {
    // Eras of 400 years, counted from 0000-03-01, so that the leap day is the last of a year.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// 22 November 2026.
pub(crate) fn date(at: Timestamp) -> String {
    let (year, month, day) = civil(at.as_secs().div_euclid(DAY_SECS));
    // As numbers: the catalogue chooses the month's name by it.
    say_with("date", &[("day", day), ("month", month), ("year", year)])
}

/// 22 November 2026, 13:05:09.
pub(crate) fn moment(at: Timestamp) -> String {
    let second = at.as_secs().rem_euclid(DAY_SECS);
    format!("{}, {:02}:{:02}:{:02}", date(at), second / 3600, second / 60 % 60, second % 60)
}

/// 2026-11-22T13:05:09Z.
pub(crate) fn iso(at: Timestamp) -> String {
    let (year, month, day) = civil(at.as_secs().div_euclid(DAY_SECS));
    let second = at.as_secs().rem_euclid(DAY_SECS);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Minutes since midnight of `09:45`.
pub(crate) fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() > 2 || minute.len() != 2 || !text.bytes().all(|b| b.is_ascii_digit() || b == b':')
    {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// `09:45` of minutes since midnight.
pub(crate) fn time_of_day(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use belfry_model::Timestamp;

    use super::{iso, minute_of_day, moment, time_of_day};

    #[test]
    fn moments_are_read_in_the_gregorian_calendar() {
        assert_eq!(iso(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(iso(Timestamp(951_782_400_000)), "2000-02-29T00:00:00Z");
        assert_eq!(iso(Timestamp(-1)), "1969-12-31T23:59:59Z");
        assert_eq!(iso(Timestamp(4_107_542_399_999)), "2100-02-28T23:59:59Z");
        assert_eq!(moment(Timestamp(1_795_352_709_000)), "22 November 2026, 13:05:09");
    }

    #[test]
    fn only_a_time_of_day_is_taken_for_one() {
        assert_eq!(minute_of_day("09:45"), Some(585));
        assert_eq!(minute_of_day("7:05"), Some(425));
        for bad in ["", "24:00", "12:60", "1:2", "+1:00", "12:30:00", "noon"] {
            assert_eq!(minute_of_day(bad), None, "{bad}");
        }
        assert_eq!(time_of_day(585), "09:45");
    }
}
