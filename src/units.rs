//! Durations such as `30s` and sizes such as `32MiB`.

use std::time::Duration;

pub(crate) const DURATION: &str = "a duration with a unit: \"250ms\", \"30s\", \"5m\", \"1h30m\", \"1d\"";
#[cfg(feature = "config")]
pub(crate) const SIZE: &str = "a size with a unit: \"512KiB\", \"32MiB\", \"1GiB\", or \"0B\"";

/// The same as regular expressions, for the schema.
#[cfg(feature = "config")]
pub(crate) const DURATION_PATTERN: &str = r"^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
#[cfg(feature = "config")]
pub(crate) const SIZE_PATTERN: &str = "^[0-9]+(B|KiB|MiB|GiB)$";

/// Units from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses one or more numbers with units, from the largest unit to the smallest, each unit once.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = number(rest)?;
        let end = after.find(|character: char| character.is_ascii_digit()).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let index = units.iter().position(|(unit, _)| *unit == name)?;
        millis = millis.checked_add(number.checked_mul(units.get(index)?.1)?)?;
        units = units.get(index + 1..)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(millis))
}

/// Parses a number of bytes.
#[cfg(feature = "config")]
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = number(text)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit())?;
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_from_large_to_small() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("90s", 90_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "30", "s", "30 s", "1.5h", "-1s", "30sec", "5M", "1m1h", "1s1s", "1µs", "99999999999999999d"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[cfg(feature = "config")]
    #[test]
    fn sizes_are_a_number_and_a_unit() {
        for (text, bytes) in [("0B", 0), ("1KiB", 1024), ("32MiB", 33_554_432), ("1GiB", 1_073_741_824)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "32", "MiB", "32MB", "32 MiB", "1.5MiB", "32mib", "99999999999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
