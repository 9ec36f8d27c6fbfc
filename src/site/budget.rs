//! How much memory a template may use.
//!
//! The template engine counts steps and not bytes, and a step can double a string. So all that
//! makes a value which was not there before says how large it will be, before it is made: the
//! operators (see [`operators`](super::operators)), the filters, the methods of strings and lists,
//! and what is written. What a page uses in all is bounded, as its steps are.

use std::cell::RefCell;

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Value};
use minijinja::{escape_formatter, filters, tests};
use minijinja_contrib::pycompat;

use super::operators;

/// Bytes that values made for one page may have, all of them together.
const MAX_VALUES: usize = 4 << 20;
/// Items of a list that is made of others.
const MAX_ITEMS: usize = 10_000;
/// Values inside one another; the library writes and drops them by recursion.
const MAX_DEPTH: usize = 100;
/// The most that a field of a format is widened to.
const MAX_WIDTH: usize = 1000;

/// Namespaces of a page.
const MAX_NAMESPACES: usize = 100;

/// What an item of a list takes besides its text.
const ITEM_SIZE: usize = 40;
/// What it costs to look at a byte, as a fraction of the cost of making one.
const READ_COST_DIVISOR: usize = 8;

thread_local! {
    /// Of the page that this thread renders.
    static BUDGET: RefCell<Budget> = RefCell::default();
}

#[derive(Default)]
struct Budget {
    left: usize,
    /// Whether something asked for more than was left.
    exceeded: bool,
    /// Left sides of operators whose right sides are being worked out.
    pending: Vec<Value>,
    /// What can be changed by a template, and so could be put into itself.
    namespaces: Vec<Value>,
}

/// Renders one page within the budget; also tells whether it was exceeded.
pub(super) fn with_budget<T>(render: impl FnOnce() -> T) -> (T, bool) {
    BUDGET.set(Budget { left: MAX_VALUES, ..Budget::default() });
    let rendered = render();
    (rendered, BUDGET.take().exceeded)
}

fn left() -> usize {
    BUDGET.with_borrow(|budget| budget.left)
}

/// Whether so many bytes may still be used.
fn check_budget(bytes: usize) -> Result<(), Error> {
    BUDGET.with_borrow_mut(|budget| {
        budget.exceeded |= bytes > budget.left;
        match budget.exceeded {
            true => Err(too_much()),
            false => Ok(()),
        }
    })
}

/// Uses so many bytes.
fn spend(bytes: usize) -> Result<(), Error> {
    check_budget(bytes)?;
    BUDGET.with_borrow_mut(|budget| budget.left -= bytes);
    Ok(())
}

fn too_much() -> Error {
    let message = format!("it uses more than {} MiB of memory", MAX_VALUES >> 20);
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Bytes of a value when it is written or copied with all that is in it. Stops counting past `most`.
fn value_size(value: &Value, most: usize) -> usize {
    fn add(value: &Value, most: usize, depth: usize, sum: &mut usize) {
        if depth > MAX_DEPTH {
            *sum = usize::MAX;
        }
        if *sum > most {
            return;
        }
        let own = match (value.as_str(), value.as_bytes()) {
            (Some(text), _) => text.len(),
            (None, Some(bytes)) => bytes.len() * 4,
            (None, None) => 0,
        };
        *sum = sum.saturating_add(ITEM_SIZE).saturating_add(own);
        let inside = match value.kind() {
            ValueKind::Seq | ValueKind::Iterable | ValueKind::Map | ValueKind::Plain => {
                value.try_iter().ok()
            }
            _ => None,
        };
        for item in inside.into_iter().flatten() {
            if *sum > most {
                return;
            }
            if value.kind() == ValueKind::Map
                && let Ok(inner) = value.get_item(&item)
            {
                add(&inner, most, depth + 1, sum);
            }
            add(&item, most, depth + 1, sum);
        }
    }
    let mut sum = 0;
    add(value, most, 0, &mut sum);
    sum
}

/// Puts all of it into an environment.
pub(super) fn limit(environment: &mut Environment<'static>) {
    environment.set_formatter(write);
    environment.set_unknown_method_callback(method);
    // It writes everything there is, whatever its size.
    environment.remove_global("debug");
    for (name, filter) in limited_filters() {
        let limited = move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
            let values = values.into_values();
            check_cost(name, &values)?;
            let result = filter.call(state, &values)?;
            spend(value_size(&result, left()))?;
            Ok::<_, Error>(result)
        };
        environment.add_filter(name, limited);
    }
    let (dict, namespace) = (global(environment, "dict"), global(environment, "namespace"));
    environment.add_function(
        "dict",
        move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
            let values = values.into_values();
            check_cost("dict", &values)?;
            dict.call(state, &values)
        },
    );
    environment.add_function(
        "namespace",
        move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
            let values = values.into_values();
            values.iter().try_for_each(check_namespace_value)?;
            let result = namespace.call(state, &values)?;
            BUDGET.with_borrow_mut(|budget| budget.namespaces.push(result.clone()));
            Ok::<_, Error>(result)
        },
    );
    environment.add_function(operators::LEFT, |value: Value| {
        BUDGET.with_borrow_mut(|budget| budget.pending.push(value.clone()));
        value
    });
    environment.add_function(operators::NEST, |value: Value| {
        check_cost("", std::slice::from_ref(&value)).map(|()| value)
    });
    environment.add_function(operators::SLICE, |value: Value| {
        // A string is copied, and one that is read backwards as characters of four bytes.
        spend(value.as_str().map_or(0, |text| text.len().saturating_mul(4)))?;
        check_cost("", std::slice::from_ref(&value)).map(|()| value)
    });
    environment.add_function(operators::KEEP, |value: Value| {
        check_namespace_value(&value).map(|()| value)
    });
    environment.add_function(operators::ADD, |right: Value| charge_operator(right, add));
    environment.add_function(operators::MULTIPLY, |right: Value| charge_operator(right, multiply));
    environment
        .add_function(operators::CONCATENATE, |right: Value| charge_operator(right, concatenate));
}

fn global(environment: &Environment<'_>, name: &str) -> Value {
    environment
        .globals()
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
        .unwrap_or_default()
}

/// Refuses to put into a namespace what may contain it: such a cycle would never be freed.
fn check_namespace_value(value: &Value) -> Result<(), Error> {
    check_cost("", std::slice::from_ref(value))?;
    let namespaces = BUDGET.with_borrow(|budget| budget.namespaces.clone());
    match namespaces.len() >= MAX_NAMESPACES || may_contain_namespace(value, &namespaces) {
        true => Err(Error::new(
            ErrorKind::InvalidOperation,
            "a namespace cannot contain another one, or a function",
        )),
        false => Ok(()),
    }
}

fn may_contain_namespace(value: &Value, namespaces: &[Value]) -> bool {
    let inside = |value: &Value| value.try_iter().ok().into_iter().flatten();
    match value.kind() {
        ValueKind::Plain => true,
        ValueKind::Map => {
            namespaces.iter().any(|namespace| tests::is_sameas(value, namespace))
                || inside(value)
                    .filter_map(|key| value.get_item(&key).ok())
                    .any(|inner| may_contain_namespace(&inner, namespaces))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            inside(value).any(|inner| may_contain_namespace(&inner, namespaces))
        }
        _ => false,
    }
}

/// The library's filters that make values which may be larger than what they are made of, or
/// written out where they were not before.
fn limited_filters() -> impl Iterator<Item = (&'static str, Value)> {
    macro_rules! list {
        ($($name:literal: $filter:ident),* $(,)?) => {
            [$(($name, Value::from_function(filters::$filter))),*].into_iter()
        };
    }
    list! {
        "safe": safe, "escape": escape, "e": escape, "lower": lower, "upper": upper,
        "title": title, "capitalize": capitalize, "replace": replace, "dictsort": dictsort,
        "items": items, "reverse": reverse, "trim": trim, "join": join, "split": split,
        "lines": lines, "sort": sort, "list": list, "string": string, "batch": batch,
        "slice": slice, "sum": sum, "indent": indent, "select": select, "reject": reject,
        "selectattr": selectattr, "rejectattr": rejectattr, "map": map, "groupby": groupby,
        "unique": unique, "chain": chain, "zip": zip, "pprint": pprint, "format": format,
        "tojson": tojson, "urlencode": urlencode,
    }
}

/// Refuses a filter or method whose result would be too large; the first of `values` is the one
/// that it is applied to.
fn check_cost(name: &str, values: &[Value]) -> Result<(), Error> {
    let left = left();
    let text = |n: usize| values.get(n).and_then(Value::as_str).map_or(0, str::len);
    let total = values.iter().fold(0_usize, |sum, v| sum.saturating_add(value_size(v, left)));
    let larger = match name {
        "replace" => (text(0) + 1).saturating_mul(text(2) + 1),
        "join" => {
            let items = |n: usize| values.get(n).and_then(Value::len).unwrap_or(0);
            // A method's list comes after what it is joined with.
            (items(0).saturating_mul(text(1) + 1)).max(items(1).saturating_mul(text(0) + 1))
        }
        // A number makes a row wider, or as many items more.
        "indent" | "tojson" | "batch" | "slice" => {
            let sum = sum_of_numbers(values.get(1..).unwrap_or_default());
            total.saturating_mul(sum.saturating_add(1))
        }
        "format" if is_wide(values) => usize::MAX,
        // Text that is taken apart becomes a value for each character.
        "list" | "split" | "splitlines" | "lines" | "sort" | "unique" | "map" | "select"
        | "reject" | "groupby" | "zip" | "chain" | "reverse" => text(0).saturating_mul(ITEM_SIZE),
        "escape" | "e" | "urlencode" => total.saturating_mul(6),
        _ => 0,
    };
    check_budget(total.max(larger))?;
    spend(total / READ_COST_DIVISOR)
}

/// The sum of the numbers among values, named ones included.
fn sum_of_numbers(values: &[Value]) -> usize {
    let number = |value: &Value| value.as_usize().filter(|_| value.kind() == ValueKind::Number);
    let sum = |values: &[Value]| values.iter().filter_map(number).fold(0, usize::saturating_add);
    let named = values.iter().filter(|value| value.kind() == ValueKind::Map);
    let named = named.filter_map(|map| {
        let keys = map.try_iter().ok()?.take(8);
        Some(keys.filter_map(|key| map.get_item(&key).ok()).collect::<Vec<_>>())
    });
    named.map(|values| sum(&values)).fold(sum(values), usize::saturating_add)
}

/// Whether a format asks for fields wider than allowed.
fn is_wide(values: &[Value]) -> bool {
    let format = values.first().and_then(Value::as_str).unwrap_or_default();
    let widths = format.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let own = widths.map(|digits| digits.parse().unwrap_or(usize::MAX)).max().unwrap_or(0);
    // `%*d` and `{:{}}` take them from the values.
    let taken = match format.contains('*') || format.contains(":{") || format.contains(".{") {
        true => sum_of_numbers(values.get(1..).unwrap_or_default()),
        false => 0,
    };
    own.max(taken) > MAX_WIDTH
}

fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    let values: Vec<Value> = std::iter::once(value).chain(arguments).cloned().collect();
    check_cost(name, &values)?;
    // `d.items()` and other methods of Python's types, which Jinja2 templates may use.
    let result = pycompat::unknown_method_callback(state, value, name, arguments)?;
    spend(value_size(&result, left()))?;
    Ok(result)
}

/// Writes a value to the page, or to what a template collects.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let escaped = match value.as_str() {
        Some(text) if value.is_safe() || *state.auto_escape() == AutoEscape::None => text.len(),
        Some(text) => text.chars().map(|c| if "<>&\"'/".contains(c) { 6 } else { 1 }).sum(),
        None => value_size(value, left()).saturating_mul(2),
    };
    spend(escaped)?;
    escape_formatter(out, state, value)
}

fn charge_operator(
    right: Value,
    size: impl FnOnce(&Value, &Value) -> Result<usize, Error>,
) -> Result<Value, Error> {
    let left = BUDGET.with_borrow_mut(|budget| budget.pending.pop());
    spend(size(&left.unwrap_or_default(), &right)?)?;
    Ok(right)
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn concatenate(one: &Value, other: &Value) -> Result<usize, Error> {
    Ok(value_size(one, left()).saturating_add(value_size(other, left())))
}

fn add(one: &Value, other: &Value) -> Result<usize, Error> {
    match (one.as_str(), other.as_str()) {
        (Some(one), Some(other)) => Ok(one.len() + other.len()),
        // The library links lists to one another, and copies them once in a while.
        _ if is_list(one) && is_list(other) => {
            items(one.len().zip(other.len()).map(|(a, b)| a + b))
        }
        _ => Ok(0),
    }
}

fn multiply(one: &Value, other: &Value) -> Result<usize, Error> {
    let (many, times) = match other.as_usize() {
        Some(times) => (one, times),
        None => (other, one.as_usize().unwrap_or(0)),
    };
    match many.as_str() {
        Some(text) => Ok(text.len().saturating_mul(times)),
        None if is_list(many) => items(many.len().map(|len| len.saturating_mul(times))),
        None => Ok(0),
    }
}

fn items(len: Option<usize>) -> Result<usize, Error> {
    match len {
        Some(len) if len <= MAX_ITEMS => Ok(len + ITEM_SIZE),
        _ => {
            let message = format!("a list of more than {MAX_ITEMS} items");
            Err(Error::new(ErrorKind::InvalidOperation, message))
        }
    }
}
