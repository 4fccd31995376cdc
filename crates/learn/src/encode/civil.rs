//! The parts of a timestamp that automatic preprocessing makes features of, in UTC.

/// The names of the parts, in the order of [`parts`].
pub(crate) const PART_NAMES: [&str; 8] =
    ["epoch", "day_of_month", "day_of_week", "month", "hour", "minute", "week", "year"];

const SECONDS_PER_DAY: i64 = 86_400;

/// Seconds since 1970 (with fraction), day of month, day of week (Sunday = 1), month, hour, minute, week of the year
/// (weeks start on Sunday; days before the first Sunday are in week 0), year.
pub(crate) fn parts(ticks: i64, ticks_per_second: i64) -> [f64; 8] {
    let seconds = ticks.div_euclid(ticks_per_second);
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    let (year, month, day) = civil_from_days(days);
    let day_of_week = (days + 4).rem_euclid(7); // 1970-01-01 was a Thursday; 0 is Sunday.
    let day_of_year = days - days_from_civil(year, 1, 1);
    let week = (day_of_year + 7 - day_of_week) / 7;
    [
        ticks as f64 / ticks_per_second as f64,
        day as f64,
        (day_of_week + 1) as f64,
        month as f64,
        (second_of_day / 3600) as f64,
        (second_of_day / 60 % 60) as f64,
        week as f64,
        year as f64,
    ]
}

/// Year, month and day of a day number, in the proleptic Gregorian calendar. Years are counted from March, so that
/// the leap day is the last of its year, in eras of 400 years (146,097 days).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn agrees_with_the_calendar() {
        // GNU date: `date -u -d '2013-11-30 23:59:01' '+%s %d %w %m %H %M %U %Y'`.
        assert_eq!(parts(1_385_855_941, 1), [1_385_855_941.0, 30.0, 7.0, 11.0, 23.0, 59.0, 47.0, 2013.0]);
        // A leap day, a Saturday: `date -u -d '2020-02-29 00:00:00'`.
        assert_eq!(parts(1_582_934_400_000, 1000), [1_582_934_400.0, 29.0, 7.0, 2.0, 0.0, 0.0, 8.0, 2020.0]);
        // Before the epoch: `date -u -d '1969-12-31 23:59:59'`.
        assert_eq!(parts(-1, 1), [-1.0, 31.0, 4.0, 12.0, 23.0, 59.0, 52.0, 1969.0]);
    }
}
