//! How accessible a page is, as axe-core judges it.

use serde_json::Value;

use super::browser::Browser;

/// The text of axe-core, which judges how accessible a page is; `None` where it is not installed,
/// which only a person's machine may be.
pub fn axe() -> Option<String> {
    let Some(path) = std::env::var_os("PICKET_AXE") else {
        assert!(std::env::var_os("CI").is_none(), "PICKET_AXE must name axe.min.js");
        println!("skipped: PICKET_AXE does not name axe.min.js; scripts/test installs it");
        return None;
    };
    Some(std::fs::read_to_string(path).expect("PICKET_AXE names axe.min.js"))
}

/// Has axe-core look at the page as it is.
pub fn judge(browser: &Browser, axe: &str, what: &str) {
    browser.js(axe);
    let violations = browser.js_await(
        "axe.run().then(({ violations }) => violations.map(({ id, nodes }) =>
            id + ': ' + nodes.map(({ html, failureSummary }) => html + ' ' + failureSummary)))",
    );
    assert_eq!(violations, Value::Array(Vec::new()), "{what}");
}
