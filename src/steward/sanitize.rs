//! Makes text from untrusted sources safe to show: in a line of a file, or of the log.

use crate::appliance::{CameraReport, HttpsStatus};

/// Most characters of a sentence.
pub(super) const MAX_SENTENCE: usize = 300;

/// Most characters of a name.
pub(super) const MAX_NAME: usize = 80;

/// The text as one line of up to `max` visible characters: no line ends, no escape sequences,
/// nothing that is invisible or changes the direction of writing.
pub(super) fn line(text: &str, max: usize) -> String {
    let mut shown = text.chars().map(|c| if is_visible(c) { c } else { '\u{fffd}' });
    let mut line: String = shown.by_ref().take(max).collect();
    if shown.next().is_some() {
        line.push('…');
    }
    line
}

/// The daemon's report on the camera, safe to pass on: whoever has taken over the daemon must not
/// be able to write what looks like another line of the steward's.
pub(super) fn camera_report(camera: &CameraReport) -> CameraReport {
    CameraReport {
        name: camera.name.as_deref().map(|name| line(name, MAX_NAME)),
        fault: camera.fault.as_deref().map(|fault| line(fault, MAX_SENTENCE)),
        picture: camera.picture,
    }
}

/// The daemon's report on HTTPS, alike.
pub(super) fn https(https: &HttpsStatus) -> HttpsStatus {
    let fingerprint = https.fingerprint.as_deref().map(|text| line(text, MAX_SENTENCE));
    HttpsStatus { port: https.port, fingerprint }
}

/// Whether a character is visible and does nothing else. The others are Unicode's controls and its
/// `Default_Ignorable_Code_Point`s, which include those that change the direction of writing.
fn is_visible(c: char) -> bool {
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
            assert_eq!(line(text, MAX_NAME), text);
        }
    }

    #[test]
    fn what_acts_or_hides_is_marked() {
        for c in
            "\r\n\t\u{1b}\u{9b}\0\u{7f}\u{202e}\u{2066}\u{200f}\u{2028}\u{feff}\u{e0041}".chars()
        {
            assert_eq!(line(&format!("a{c}b"), MAX_NAME), "a\u{fffd}b", "{c:?}");
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
        let told = camera_report(&camera);
        assert_eq!(told.name.as_deref(), Some("cam\u{fffd}\u{fffd}Sign-in: off"));
        let fault = told.fault.unwrap_or_default();
        assert!(
            fault.chars().all(is_visible) && fault.chars().count() == MAX_SENTENCE + 1,
            "{fault:?}"
        );
        assert!(told.picture);
        assert_eq!(camera_report(&CameraReport::default()), CameraReport::default());
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(line("abcd", 4), "abcd");
        assert_eq!(line("äöüßx", 4), "äöüß…");
        assert_eq!(line(&"x".repeat(1 << 20), MAX_SENTENCE).chars().count(), MAX_SENTENCE + 1);
    }
}
