//! The template engine under the owner's hands.

use std::fs;
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A site with these templates beside the default ones.
pub(super) fn site(templates: &[(&str, &str)]) -> (TempDir, Site) {
    let dir = tempfile::tempdir().unwrap();
    let (site, _) = Site::open(&at(dir.path())).unwrap();
    for (name, text) in templates {
        fs::write(dir.path().join("templates").join(name), text).unwrap();
    }
    (dir, site)
}

pub(super) fn fault(templates: &[(&str, &str)], name: &str) -> TemplateError {
    site(templates).1.render(name, &()).unwrap_err()
}

#[test]
fn a_users_page_extends_the_base_page_and_finds_its_files() {
    let (_dir, site) = site(&[(
        "about.html",
        "{% extends \"base.html\" %}{% block content %}\
         <img src=\"{{ url_for('static', path='/img/me.png') }}\">{{ who }}{% endblock %}",
    )]);
    let page = site.render("about.html", &json!({ "who": "Ada" })).unwrap();
    assert!(page.contains("<img src=\"/static/img/me.png\">Ada"), "{page}");
    assert!(page.contains("href=\"/static/css/custom.css\""), "{page}");
}

#[test]
fn values_are_escaped_for_html_whatever_the_templates_name() {
    let (_dir, site) = site(&[("a.html", "{{ x }}"), ("a.txt", "{{ x }}"), ("a", "{{ x|safe }}")]);
    let context = json!({ "x": "<script>\"'&" });
    for name in ["a.html", "a.txt"] {
        assert_eq!(site.render(name, &context).unwrap(), "&lt;script&gt;&quot;&#x27;&amp;");
    }
    assert_eq!(site.render("a", &context).unwrap(), "<script>\"'&");
    let not_found = site.error_page(ErrorPage::NotFound, &json!({ "path": "/<script>" }));
    assert!(!not_found.contains("<script>") && not_found.contains("script"), "{not_found}");
}

#[test]
fn jinja_templates_with_pythons_methods_carry_over() {
    let text = "{% for k, v in d.items() %}{{ k.upper() }}={{ v }};{% endfor %}{{ d|tojson }}";
    let (_dir, site) = site(&[("a.html", text)]);
    let page = site.render("a.html", &json!({ "d": { "a": 1 } })).unwrap();
    assert_eq!(page, "A=1;{\"a\": 1}");
}

#[test]
fn an_edit_shows_at_the_next_rendering() {
    let (dir, site) = site(&[("a.html", "one {% include 'b.html' %}"), ("b.html", "two")]);
    assert_eq!(site.render("a.html", &()).unwrap(), "one two");
    // Same length, perhaps the same time stamp.
    fs::write(dir.path().join("templates/b.html"), "owt").unwrap();
    assert_eq!(site.render("a.html", &()).unwrap(), "one owt");
    fs::remove_file(dir.path().join("templates/a.html")).unwrap();
    assert_eq!(site.render("a.html", &()).unwrap_err().fault, TemplateFault::Missing);
}

#[test]
fn a_fault_names_its_template_and_line() {
    let syntax = fault(&[("a.html", "\n\n{% if %}")], "a.html");
    assert_eq!((syntax.fault, syntax.line), (TemplateFault::Syntax, Some(3)));
    assert!(syntax.to_string().starts_with("templates/a.html line 3: "), "{syntax}");

    let failed = fault(&[("a.html", "\n{{ 1 / 0 }}")], "a.html");
    assert_eq!((failed.fault, failed.line), (TemplateFault::Failed, Some(2)));

    let route = fault(&[("a.html", "\n{{ url_for('nope') }}")], "a.html");
    assert_eq!(route.line, Some(2));
    assert!(route.message.contains("no route is named \"nope\""), "{route}");

    let included =
        fault(&[("a.html", "{% include 'b.html' %}"), ("b.html", "\n\n\n{{ x.y.z }}")], "a.html");
    assert_eq!((included.template.as_str(), included.line), ("b.html", Some(4)));

    let absent = fault(&[("a.html", "\n{% extends 'gone.html' %}")], "a.html");
    assert_eq!((absent.fault, absent.line), (TemplateFault::Missing, Some(2)));
    assert!(absent.to_string().contains("gone.html"), "{absent}");
}

#[test]
fn a_template_is_found_only_in_its_folder() {
    let (dir, site) = site(&[("a.html", "{% include '../secret.html' %}")]);
    fs::write(dir.path().join("secret.html"), "secret").unwrap();
    for name in ["../secret.html", "/etc/passwd", "gone.html", "", ".hidden.html", "a.html"] {
        assert_eq!(site.render(name, &()).unwrap_err().fault, TemplateFault::Missing, "{name:?}");
    }
}

#[test]
fn a_template_that_is_no_text_or_too_large_is_a_fault() {
    let (dir, site) = site(&[]);
    fs::write(dir.path().join("templates/a.html"), b"\xff\xfe").unwrap();
    let binary = site.render("a.html", &()).unwrap_err();
    assert!(binary.message.contains("not UTF-8"), "{binary}");
    fs::File::create(dir.path().join("templates/b.html"))
        .and_then(|file| file.set_len(MAX_FILE_SIZE + 1))
        .unwrap();
    let large = site.render("b.html", &()).unwrap_err();
    assert!(large.message.contains("larger than"), "{large}");
}

#[test]
fn a_template_that_would_never_end_is_stopped() {
    let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    let include = "{% include 'a.html' %}";
    let call = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    for text in [loops, include, call] {
        let found = on_a_small_stack(text);
        assert_eq!(found.fault, TemplateFault::Endless, "{text}: {found}");
    }
}

#[test]
fn a_template_that_goes_too_deep_is_a_fault_and_no_crash() {
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(on_a_small_stack(&nested).fault, TemplateFault::Syntax);
    let parent = on_a_small_stack("{% extends 'a.html' %}");
    assert!(parent.message.contains("cycle"), "{parent}");
}

/// The fault of a template `a.html`, rendered with half the stack of a web server's worker.
pub(super) fn on_a_small_stack(text: &str) -> TemplateError {
    thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(1 << 20);
        let worker = worker.spawn_scoped(scope, || fault(&[("a.html", text)], "a.html"));
        worker.unwrap().join().unwrap()
    })
}

#[test]
fn a_page_that_grows_too_large_is_stopped() {
    let text = "{% set s = 'x' * 9999 %}{% for a in range(9999) %}{{ s }}{% endfor %}";
    assert_eq!(fault(&[("a.html", text)], "a.html").fault, TemplateFault::TooLarge);
}

#[test]
fn a_broken_error_page_gives_way_to_a_plain_one() {
    let (dir, site) = site(&[("404.html", "{% if %}"), ("500.html", "{{ 1 / 0 }}")]);
    let not_found = site.error_page(ErrorPage::NotFound, &());
    assert!(not_found.contains("<h1>There is nothing here</h1>"), "{not_found}");
    let server_error = site.error_page(ErrorPage::ServerError, &());
    assert!(server_error.contains("<h1>This page could not be shown</h1>"), "{server_error}");
    fs::write(dir.path().join("templates/404.html"), "mended").unwrap();
    assert_eq!(site.error_page(ErrorPage::NotFound, &()), "mended");
}

#[test]
fn the_default_pages_render_without_any_values() {
    let site = Site::embedded();
    for page in ["base.html", "index.html", "404.html", "500.html"] {
        let html = site.render(page, &()).unwrap();
        assert!(html.starts_with("<!doctype html>") && html.contains("</html>"), "{page}: {html}");
    }
}

#[test]
fn a_named_route_is_found_by_templates_from_then_on() {
    let (_dir, mut site) = site(&[("a.html", "{{ url_for('whep', camera='front') }}")]);
    assert!(site.render("a.html", &()).is_err());
    site.engine.add_route("whep", "/whep/{camera}").unwrap();
    assert_eq!(site.render("a.html", &()).unwrap(), "/whep/front");
}
