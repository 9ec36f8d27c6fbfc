//! The known time zones: those of the system or, where it has none, those built into the program.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, db};

/// Whether a time zone of this name exists.
pub(super) fn exists(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

/// Which time zone may have been meant by a name that does not exist.
pub(in crate::config) fn meant(name: &str) -> Option<String> {
    offset(name).or_else(|| nearest(name))
}

/// People say "UTC+2"; the zones of fixed offset have the sign of POSIX, which is negative east of
/// Greenwich.
fn offset(name: &str) -> Option<String> {
    let upper = name.trim().to_uppercase();
    let rest = upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT")).unwrap_or(&upper);
    let (sign, hours) = match rest.split_at_checked(1)? {
        ("+", hours) => ('-', hours),
        ("-", hours) => ('+', hours),
        _ => return None,
    };
    let hours: u32 = hours.strip_suffix(":00").unwrap_or(hours).parse().ok()?;
    let name = if hours == 0 { "UTC".to_owned() } else { format!("Etc/GMT{sign}{hours}") };
    exists(&name).then_some(name)
}

/// The zone whose name, or whose city, is most similar.
fn nearest(name: &str) -> Option<String> {
    let plain = |text: &str| text.to_lowercase().replace([' ', '-'], "_");
    let wanted = plain(name);
    // Reading the system's folders takes a while.
    static ZONES: LazyLock<Vec<String>> =
        LazyLock::new(|| db().available().map(|zone| zone.to_string()).collect());
    let towns = ZONES.iter().filter(|zone| zone.contains('/') && !zone.starts_with("Etc/"));
    towns
        .filter_map(|zone| {
            let whole = plain(zone);
            let town = whole.rsplit('/').next().unwrap_or(&whole);
            let other = wanted.rsplit('/').next().unwrap_or(&wanted);
            let distance = strsim::damerau_levenshtein(&whole, &wanted)
                .min(strsim::damerau_levenshtein(town, other));
            (distance <= 2 && distance * 3 < town.len()).then_some((distance, zone))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, zone)| zone.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_leads_to_the_zone_they_mean() {
        for (written, zone) in [
            ("Berlin", "Europe/Berlin"),
            ("berlin", "Europe/Berlin"),
            ("Europe/Berln", "Europe/Berlin"),
            ("America/New York", "America/New_York"),
            ("Europe/Tokyo", "Asia/Tokyo"),
            ("UTC+2", "Etc/GMT-2"),
            ("GMT-05:00", "Etc/GMT+5"),
            ("+1", "Etc/GMT-1"),
        ] {
            assert!(!exists(written), "{written}");
            assert_eq!(meant(written).as_deref(), Some(zone), "{written}");
            assert!(exists(zone), "{zone}");
        }
        for nothing in ["", "Mars/Olympus", "UTC+99", "x", "+", "\u{fc}"] {
            assert_eq!(meant(nothing), None, "{nothing}");
        }
    }
}
