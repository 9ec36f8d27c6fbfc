//! The controls of a camera: brightness, gain, white balance and the like.
//!
//! Every driver has its own names, ranges and types for them. Here is what they have in common:
//! Picket's names (those of `[camera.controls]`), plain values, and what a value may be.

use std::collections::BTreeMap;
use std::fmt;

/// A control that a camera has.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Its name in `[camera.controls]`: "brightness".
    pub name: &'static str,
    /// What it may be set to.
    pub range: ControlRange,
    /// What it is when nobody has set it, if the camera says.
    pub default: Option<ControlValue>,
}

/// What a control may be set to.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlRange {
    /// A number between two, both included.
    Number {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// The word `auto`, or a number between two.
    AutoOrNumber {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// One of these words.
    Words(Vec<&'static str>),
    /// `len` numbers, each between two.
    Numbers {
        /// How many.
        len: usize,
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// A part of the picture: `[x, y, width, height]`, each a share of its width or height.
    Region,
}

/// A value for a control.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlValue {
    /// A number in the control's own unit, which the reference of `config.toml` names.
    Number(f64),
    /// A word, such as `auto` or `daylight`.
    Word(String),
    /// Several numbers, such as the region `[x, y, width, height]`.
    Numbers(Vec<f64>),
}

/// Values by the controls' names.
pub type ControlValues = BTreeMap<String, ControlValue>;

impl ControlRange {
    /// Whether a control with this range can be set to `value`.
    #[must_use]
    pub fn allows(&self, value: &ControlValue) -> bool {
        let between = |n: f64, min: &f64, max: &f64| (*min..=*max).contains(&n);
        match (self, value) {
            (
                Self::Number { min, max } | Self::AutoOrNumber { min, max },
                ControlValue::Number(n),
            ) => between(*n, min, max),
            (Self::AutoOrNumber { .. }, ControlValue::Word(word)) => word == "auto",
            (Self::Words(words), ControlValue::Word(word)) => words.contains(&word.as_str()),
            (Self::Numbers { len, min, max }, ControlValue::Numbers(numbers)) => {
                numbers.len() == *len && numbers.iter().all(|n| between(*n, min, max))
            }
            (Self::Region, ControlValue::Numbers(numbers)) => {
                let inside =
                    |from: f64, length: f64| from >= 0.0 && length > 0.0 && from + length <= 1.0;
                matches!(numbers[..], [x, y, w, h] if inside(x, w) && inside(y, h))
            }
            _ => false,
        }
    }
}

/// As the end of a sentence: "a number from 0 to 32".
impl fmt::Display for ControlRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Self::AutoOrNumber { min, max } => {
                write!(f, "\"auto\" or a number from {min} to {max}")
            }
            Self::Words(words) => write!(f, "one of \"{}\"", words.join("\", \"")),
            Self::Numbers { len, min, max } => {
                write!(f, "a list of {len} numbers from {min} to {max}")
            }
            Self::Region => {
                f.write_str("[x, y, width, height], each a share from 0 to 1, within the picture")
            }
        }
    }
}

impl fmt::Display for ControlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Word(word) => write!(f, "\"{word}\""),
            Self::Numbers(numbers) => write!(f, "{numbers:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_allows_what_is_in_it_and_nothing_else() {
        let word = |w: &str| ControlValue::Word(w.into());
        let number = ControlRange::Number { min: -1.0, max: 1.0 };
        assert!(number.allows(&ControlValue::Number(1.0)));
        assert!(!number.allows(&ControlValue::Number(1.1)));
        assert!(!number.allows(&ControlValue::Number(f64::NAN)));
        assert!(!number.allows(&word("auto")));
        let auto = ControlRange::AutoOrNumber { min: 1.0, max: 2.0 };
        assert!(auto.allows(&word("auto")) && auto.allows(&ControlValue::Number(2.0)));
        let words = ControlRange::Words(vec!["off", "night"]);
        assert!(words.allows(&word("night")) && !words.allows(&word("day")));
        let numbers = |numbers: &[f64]| ControlValue::Numbers(numbers.to_vec());
        let gains = ControlRange::Numbers { len: 2, min: 0.0, max: 8.0 };
        assert!(gains.allows(&numbers(&[0.0, 8.0])));
        assert!(!gains.allows(&numbers(&[1.0])) && !gains.allows(&numbers(&[1.0, 9.0])));
        assert!(ControlRange::Region.allows(&numbers(&[0.0, 0.0, 1.0, 1.0])));
        for outside in [&[0.0, 0.0, 1.0][..], &[0.5, 0.0, 0.6, 1.0], &[0.0, 0.0, 0.0, 1.0]] {
            assert!(!ControlRange::Region.allows(&numbers(outside)), "{outside:?}");
        }
    }

    #[test]
    fn ranges_read_as_the_end_of_a_sentence() {
        let range = ControlRange::AutoOrNumber { min: 1.0, max: 64.0 };
        assert_eq!(range.to_string(), "\"auto\" or a number from 1 to 64");
        let range = ControlRange::Words(vec!["off", "night"]);
        assert_eq!(range.to_string(), "one of \"off\", \"night\"");
    }
}
