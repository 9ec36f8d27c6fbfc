//! Text from less trusted sides, made fit to stand in a line of a file or of the log.

use crate::appliance::CameraReport;

/// Most characters of a sentence.
pub(super) const SENTENCE: usize = 300;

/// Most characters of a name.
pub(super) const NAME: usize = 80;

/// The text in one line, of up to `most` characters that show themselves and change nothing else: no
/// line ends, no escape sequences, nothing that turns the direction of writing or cannot be seen.
pub(super) fn line(text: &str, most: usize) -> String {
    let mut shown = text.chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' });
    let mut line: String = shown.by_ref().take(most).collect();
    if shown.next().is_some() {
        line.push('…');
    }
    line
}

/// What the daemon says of the camera, as it may be told on: whoever has got into the daemon must
/// not write to the owner what looks like another line of the steward's.
pub(super) fn report(camera: &CameraReport) -> CameraReport {
    CameraReport {
        name: camera.name.as_deref().map(|name| line(name, NAME)),
        fault: camera.fault.as_deref().map(|fault| line(fault, SENTENCE)),
        picture: camera.picture,
    }
}

/// A character that shows itself and does nothing else. The others are Unicode's controls and its
/// `Default_Ignorable_Code_Point`s, among which those that turn the direction of writing are.
fn is_plain(c: char) -> bool {
    let acts = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !acts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_itself_stays_as_it_is() {
        for text in ["", "imx708 (“wide”), 25 °C", "Büro 東京 مرحبا 🎥"] {
            assert_eq!(line(text, NAME), text);
        }
    }

    #[test]
    fn what_acts_or_hides_is_marked() {
        for c in
            "\r\n\t\u{1b}\u{9b}\0\u{7f}\u{202e}\u{2066}\u{200f}\u{2028}\u{feff}\u{e0041}".chars()
        {
            assert_eq!(line(&format!("a{c}b"), NAME), "a\u{fffd}b", "{c:?}");
        }
    }

    #[test]
    fn a_report_of_the_daemon_s_is_told_on_in_plain_lines() {
        let said = |text: &str| Some(text.to_owned());
        let camera = CameraReport {
            name: said("cam\r\nSign-in: off"),
            fault: said(&"\u{1b}[2J".repeat(1000)),
            picture: true,
        };
        let told = report(&camera);
        assert_eq!(told.name.as_deref(), Some("cam\u{fffd}\u{fffd}Sign-in: off"));
        let fault = told.fault.unwrap_or_default();
        assert!(fault.chars().all(is_plain) && fault.chars().count() == SENTENCE + 1, "{fault:?}");
        assert!(told.picture);
        assert_eq!(report(&CameraReport::default()), CameraReport::default());
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(line("abcd", 4), "abcd");
        assert_eq!(line("äöüßx", 4), "äöüß…");
        assert_eq!(line(&"x".repeat(1 << 20), SENTENCE).chars().count(), SENTENCE + 1);
    }
}
