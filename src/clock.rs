//! The clock that validators use: [`Clock`] and [`UnixTime`].
//!
//! A clock has two readings. Wall-clock time ([`UnixTime`]) is compared with the times in a token. It may jump when the
//! clock is set. Monotonic time measures how long ago something was fetched or cached. It never goes back, so setting
//! the system clock back does not prolong a cached verdict.
//!
//! ```
//! use tower_bearer::{Clock, SystemClock, UnixTime};
//!
//! assert!(SystemClock.now() > UnixTime::from_secs(1_700_000_000));
//! ```

use std::{
    fmt,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

/// Returns the current time.
///
/// Used for all time comparisons in this crate. The default is [`SystemClock`]. Tests use `testing::ManualClock`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the wall-clock time, to compare with `exp`, `nbf` and `iat`.
    fn now(&self) -> UnixTime;

    /// Returns the time since a fixed moment in the past. Never decreases.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// A point in time, as seconds since 1970-01-01T00:00:00Z without leap seconds.
///
/// This is the `NumericDate` of RFC 7519 section 2. Times before 1970 cannot be represented.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(Duration);

impl UnixTime {
    /// The first time that is refused in a token: the start of the year 10000.
    const END: Duration = Duration::from_secs(253_402_300_800);

    /// Creates a time from whole seconds since 1970.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Returns the whole seconds since 1970, without the fraction.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// Returns the time `span` later, or the latest possible time if that overflows.
    #[must_use]
    pub const fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Returns the time `span` earlier, or 1970 if that would be before it.
    #[must_use]
    pub const fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }

    /// Returns the duration since `earlier`, or zero if `earlier` is later than this time.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses the text of a JSON number (RFC 7519 section 2, `NumericDate`), from 0 to the end of the year 9999, with
    /// an optional fraction. Returns `None` for anything else, including numbers that would wrap or overflow.
    pub(crate) fn from_json_number(text: &str) -> Option<Self> {
        // Refuses signs, strings and literals, and the `inf` and `nan` that Rust parses.
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let since_1970 = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            // A fraction, an exponent or too many digits.
            Err(_) => Duration::try_from_secs_f64(text.parse::<f64>().ok()?).ok()?,
        };
        (since_1970 < Self::END).then_some(Self(since_1970))
    }
}

/// Converts a system time. A time before 1970 becomes 1970.
impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}

impl fmt::Debug for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixTime({self})")
    }
}

/// Writes seconds since 1970, with a fraction if there is one.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_nanos() == 0 {
            write!(f, "{}", self.0.as_secs())
        } else {
            write!(f, "{:.3}", self.0.as_secs_f64())
        }
    }
}

/// Default clock skew. Clocks synchronized by NTP differ by much less.
pub(crate) const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(30);

/// RFC 7519 section 4.1.4: "no more than a few minutes".
pub(crate) const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_up_to_the_year_9999_are_times() {
        for (text, seconds) in [("0", 0), ("1700000000", 1_700_000_000), ("253402300799", 253_402_300_799)] {
            assert_eq!(UnixTime::from_json_number(text), Some(UnixTime::from_secs(seconds)), "{text}");
        }
        assert_eq!(UnixTime::from_json_number("1.7e9"), Some(UnixTime::from_secs(1_700_000_000)));
        assert_eq!(UnixTime::from_json_number("10.5").map(UnixTime::as_secs), Some(10));
    }

    #[test]
    fn anything_else_is_not_a_time() {
        for text in [
            "-1",
            "-0.5",
            "1e400",
            "253402300800",
            "18446744073709551615",
            "18446744073709551616",
            "9223372036854775807",
            "\"5\"",
            "null",
            "true",
            "[5]",
            "{}",
            "inf",
            "nan",
            "NaN",
            "+5",
            "",
        ] {
            assert_eq!(UnixTime::from_json_number(text), None, "{text}");
        }
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let earlier = SystemClock.monotonic();

        assert!(SystemClock.monotonic() >= earlier);
    }
}
