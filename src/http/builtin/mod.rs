//! The pages that must be shown whatever became of the site's own files: to sign in, to set the
//! first password, to say what went wrong, and to manage the device.
//!
//! In come the few values that they show; out goes HTML, from templates inside the program.

use axum::response::Html;
use minijinja::{Environment, context};

/// The site's own look, from the copy inside the program.
pub(super) const STYLE: &str = include_str!("../../../static/css/custom.css");

const SIGN_IN: &str = include_str!("login.html");
const SET_UP: &str = include_str!("setup.html");
const MESSAGE: &str = include_str!("message.html");

/// What the device's page adds to the look.
pub(super) const DEVICE_STYLE: &str = include_str!("device.css");

/// The device's page's script.
pub(super) const DEVICE_SCRIPT: &str = include_str!("device.js");

const DEVICE: &str = include_str!("device.html");

const SECURE: &str = include_str!("secure.html");

/// What the secure page is for, and where; for a certificate that browsers do not know, by what
/// `name` they show it, and how they are told to trust it.
pub(super) fn secure_page(
    is_secure: bool,
    origin: &str,
    name: Option<&str>,
    fingerprint: &str,
) -> Html<String> {
    page(SECURE, context! { is_secure, origin, name, fingerprint })
}

/// Whether what is typed on a page can be read on its way, although it need not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exposure {
    /// Nobody can read it, or there is no other way.
    None,
    /// The secure page is offered instead.
    Avoidable,
}

/// The device's page; its script fills it in.
pub(super) fn device_page(hostname: &str, version: &str) -> Html<String> {
    page(DEVICE, context! { hostname, version })
}

/// Asks for the password; `next` is where the browser was going, `root_path` how one gets from the
/// page to the site's root.
pub(super) fn sign_in_page(
    root_path: &str,
    message: &str,
    next: &str,
    exposure: Exposure,
) -> Html<String> {
    let exposed = exposure == Exposure::Avoidable;
    page(SIGN_IN, context! { root_path, message, next, exposed })
}

/// Asks for the first password.
pub(super) fn first_password_page(
    root_path: &str,
    message: &str,
    exposure: Exposure,
) -> Html<String> {
    let exposed = exposure == Exposure::Avoidable;
    page(SET_UP, context! { root_path, message, exposed })
}

/// Says something, with a button that leads on: what it says, and where to.
pub(super) fn message_page(
    root_path: &str,
    title: &str,
    detail: &str,
    trace: Option<&str>,
    (button, way): (&str, &str),
) -> Html<String> {
    page(MESSAGE, context! { root_path, title, detail, trace, button, way })
}

fn page(template: &str, values: minijinja::Value) -> Html<String> {
    // The name's ending turns escaping on.
    let rendered = Environment::new().render_named_str("page.html", template, values);
    Html(rendered.unwrap_or_else(|e| {
        log::error!("a built-in page cannot be shown: {e}");
        String::new()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::Installer;

    #[test]
    fn the_page_and_the_device_agree_on_how_large_an_update_may_be() {
        let line = format!("const LARGEST = {} * 2 ** 20;", Installer::LARGEST >> 20);
        assert!(DEVICE_SCRIPT.contains(&line));
    }

    #[test]
    fn what_a_stranger_sends_is_text_and_nothing_more() {
        let evil = "\"><script>alert(1)</script>";
        for Html(page) in [
            sign_in_page(".", evil, evil, Exposure::Avoidable),
            first_password_page(".", evil, Exposure::Avoidable),
            secure_page(false, evil, Some(evil), evil),
            message_page(".", evil, evil, Some(evil), (evil, evil)),
        ] {
            assert!(page.contains("&lt;script&gt;"), "{page}");
            assert!(!page.contains("<script") && !page.contains("\"&gt;"), "{page}");
        }
    }
}
