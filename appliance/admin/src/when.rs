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

/// The day since 1970-01-01 of a date in the Gregorian calendar.
fn day_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Days since 1970-01-01 of `2026-11-22`, as date controls send it.
pub(crate) fn day_of(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let digits = |part: &str, count| {
        let fits = part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i64>().ok().filter(|_| fits)
    };
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let number = day_since_1970(year, month, day);
    // The 30th of February is another day.
    (civil(number) == (year, month, day)).then_some(number)
}

/// `2026-11-22` of days since 1970-01-01.
pub(crate) fn iso_day(day: i64) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
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
    let day = iso_day(at.as_secs().div_euclid(DAY_SECS));
    let second = at.as_secs().rem_euclid(DAY_SECS);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{day}T{hour:02}:{minute:02}:{second:02}Z")
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

    use super::{day_of, iso, iso_day, minute_of_day, moment, time_of_day};

    #[test]
    fn moments_are_read_in_the_gregorian_calendar() {
        assert_eq!(iso(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(iso(Timestamp(951_782_400_000)), "2000-02-29T00:00:00Z");
        assert_eq!(iso(Timestamp(-1)), "1969-12-31T23:59:59Z");
        assert_eq!(iso(Timestamp(4_107_542_399_999)), "2100-02-28T23:59:59Z");
        assert_eq!(moment(Timestamp(1_795_352_709_000)), "22 November 2026, 13:05:09");
    }

    #[test]
    fn a_day_is_read_as_it_is_written() {
        for day in [-719_528, -1, 0, 11_016, 20_779, 47_540, 2_932_896] {
            let written = iso_day(day);
            assert_eq!(day_of(&written), Some(day), "{written}");
        }
        assert_eq!(day_of("2026-11-22"), Some(20_779));
        for bad in
            ["", "2026-11", "2026-02-30", "2026-13-01", "26-1-1", "2026-11-22-1", "+026-11-22"]
        {
            assert_eq!(day_of(bad), None, "{bad}");
        }
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
