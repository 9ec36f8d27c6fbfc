//! Templates that would use up the memory, by mistake or not.

use super::templating::{fault, site};
use super::*;

/// Templates that would take hundreds of megabytes and more, each by a way of its own.
const GREEDY: [&str; 29] = [
    "{% set s = 'x' * 2000000 %}{{ s[::-1]|length }}",
    "{% set s = 'x' * 900000 %}{% set a = s[1:] %}{% set b = s[1:] %}{{ (a + b)|length }}",
    "{{ 'x' * 1000000000 }}",
    "{{ 'x' * 90000000 }}",
    "{% set n = 90000000 %}{% set s = n * 'x' %}{{ s|length }}",
    "{% set s = 'x' * 1000 * 1000 * 90 %}",
    "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = (ns.s) + ns.s %}{% endfor %}",
    "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set x %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = x %}{% endfor %}",
    "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}",
    "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = '%s%s'|format(ns.s, ns.s) %}{% endfor %}",
    "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = '{}{}'.format(ns.s, ns.s) %}{% endfor %}",
    "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = ns.s.replace('x', 'xx') %}{% endfor %}",
    "{% set ns = namespace(s=['x']) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(s=['x']) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson|length }}",
    "{% set ns = namespace(s=['x']) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s|list|length }}",
    "{% macro m(s, n) %}{% if n %}{{ m(s, n - 1) }}{{ m(s, n - 1) }}{% else %}{{ s }}{% endif %}{% endmacro %}{% set x = m('x' * 100000, 8) %}",
    "{{ '%90000000d'|format(1) }}",
    "{{ '%*d'|format(90000000, 1) }}",
    "{{ '{:>90000000}'.format(1) }}",
    "{{ ('x' * 100000)|replace('', 'y' * 1000) }}",
    "{{ range(9000)|join('x' * 100000)|length }}",
    "{{ ('\n' * 9000)|indent(90000, true, true)|length }}",
    "{{ [1]|batch(90000000, 0)|list|length }}",
    "{{ [1]|slice(90000000, 0)|list|length }}",
    "{{ ('x' * 3000000)|list|length }}",
    "{{ ('x,' * 1000000).split(',')|length }}",
    "{{ ([1] * 90000000)|list|length }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(9000) %}{% set ns.l = ns.l + ['x' * 90000] %}{% endfor %}",
];

#[test]
fn a_template_that_would_use_up_the_memory_is_stopped_and_says_so() {
    for text in GREEDY {
        let found = fault(&[("a.html", text)], "a.html");
        assert!(
            found.message.contains("uses more than 4 MiB") || found.message.contains("items"),
            "{text}: {found}"
        );
        assert!(found.line.is_some(), "{text}: {found}");
    }
}

#[test]
fn what_a_template_collects_of_its_own_text_is_bounded_too() {
    for filler in ["-", " ", "\u{e4}", "{ ", "{% raw %}-{{{% endraw %}"] {
        let filler = filler.repeat(20_000 / filler.len());
        let text = format!(
            "{{% set s %}}{{% for i in range(9999) %}}{filler}{{% endfor %}}{{% endset %}}"
        );
        let found = fault(&[("a.html", &text)], "a.html");
        assert_eq!(found.fault, TemplateFault::Endless, "{filler:.20}: {found}");
    }
}

#[test]
fn values_inside_one_another_end_in_a_fault_and_no_crash() {
    for text in [
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l={}) %}{% for i in range(9999) %}{% set ns.l = {'a': ns.l} %}{% endfor %}{{ ns.l|tojson }}",
        "{% set ns = namespace() %}{% set x = [[ns]] %}{% set ns.x = x %}",
        "{% set x = namespace(y=namespace()) %}",
    ] {
        let found = super::templating::on_a_small_stack(text);
        assert_eq!(found.line, Some(1), "{found}");
    }
}

#[test]
fn a_template_that_works_looks_the_same_for_being_watched() {
    let long = "Lorem ipsum { dolor } {- sit amet -} consectetur\n   ".repeat(20);
    let raw = format!("{{% raw %}}{}{{% endraw %}}", "{{ a * b }} and {# so on #} ".repeat(20));
    let spaces = " ".repeat(500);
    for (text, expected) in [
        ("{{ 1 + 2 * 3 - 4 }}", "3"),
        ("{{ (1 + 2) * (3 + 4) }}|{{ 2 * (3) }}|{{ -2 * -3 }}", "21|6|6"),
        ("{{ 1 + 2 ~ 3 + 4 }}", "28"),
        ("{{ 'a' ~ 1 + 1 ~ 'b' if true else 'c' ~ 'd' }}", ""),
        ("{{ 'a' ~ 1 ~ 'b' }}{{ ('a' ~ 'b')|upper }}{{ 'a' ~ 'b'|upper }}", "a1bABaB"),
        (
            "{{- 'a' * 3 -}}  {{ ['a'] * 2 + ['b'] }}",
            "aaa[&#x27;a&#x27;, &#x27;a&#x27;, &#x27;b&#x27;]",
        ),
        ("{{ [1, 2 + 3]|sum + 4 }}{{ dict(a=1 + 1).a * 2 }}{{ {'a': 1 + 1}['a' ~ ''] }}", "1042"),
        ("{% macro m(a, b=1 + 1) %}{{ a * b }}{% endmacro %}{{ m(2) + m(b=3, a=4) }}", "412"),
        ("{% for i in [1] + [2] if i + 1 > 2 %}{{ loop.index + i }}{% endfor %}", "3"),
        ("{% set x = 'a' ~ 'b' %}{% if x ~ 'c' == 'abc' %}{{ x }}{% endif %}", "ab"),
        ("{% filter replace('a', 'b' ~ 'c') %}a{% endfilter %}", "bc"),
        ("{{ 'x' is startingwith('x' ~ '') }}{{ 'abc'[1 + 1:] }}", "Truec"),
        (&long, long.as_str()),
        (&raw, &raw["{% raw %}".len()..raw.len() - "{% endraw %}".len()]),
        (
            &format!("a{spaces}{{%- if true -%}}{spaces}b{spaces}{{% endif %}}"),
            &format!("ab{spaces}"),
        ),
        (&format!("a{spaces}{{% if true %}}b{{% endif %}}"), &format!("a{spaces}b")),
    ] {
        let (_dir, site) = site(&[("a.html", text)]);
        let shown = site.render("a.html", &());
        let plain = minijinja::Environment::new().render_named_str("a.html", text, ());
        match plain {
            Ok(plain) => {
                assert_eq!(shown.unwrap(), plain, "{text}");
                assert!(expected.is_empty() || plain == expected, "{text}: {plain}");
            }
            Err(_) => drop(shown.unwrap_err()),
        }
    }
}

#[test]
fn a_long_list_can_be_put_together_item_by_item() {
    let text = "{% set ns = namespace(l=[]) %}{% for i in range(1000) %}\
                {% set ns.l = ns.l + ['item ' ~ i] %}{% endfor %}{{ ns.l|join(', ')|length }}";
    let (_dir, site) = site(&[("a.html", text)]);
    assert_eq!(site.render("a.html", &()).unwrap(), "9888");
}
