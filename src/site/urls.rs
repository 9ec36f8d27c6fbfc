//! `url_for`: addresses by name, so that a template survives a change of paths.
//!
//! A page that is shown gets relative addresses: a proxy may show the whole site below a path of
//! its own, of which we know nothing.

use std::collections::BTreeMap;

use super::SiteError;

/// The way from the page at `path` to the site's root: "." from "/" and "/about", ".." from "/a/b".
/// An address is that and an absolute path. Where the way is too long, it is empty: then addresses
/// are absolute.
pub(crate) fn root_path(path: &str) -> String {
    const LONGEST: usize = 32;
    match path.matches('/').count().saturating_sub(1) {
        0 => ".".to_owned(),
        deep @ 1..=LONGEST => vec![".."; deep].join("/"),
        _ => String::new(),
    }
}

/// The named routes: `static` is `/static/{path}`, `index` is `/`, `device` is `/device`.
#[derive(Clone, Debug)]
pub(super) struct Routes(BTreeMap<String, String>);

impl Default for Routes {
    fn default() -> Self {
        let known = [("static", "/static/{path}"), ("index", "/"), ("device", "/device")];
        Self(known.map(|(name, pattern)| (name.to_owned(), pattern.to_owned())).into())
    }
}

impl Routes {
    /// Adds a route; `{name}` in the pattern stands for a parameter.
    pub(super) fn add(&mut self, name: &str, pattern: &str) -> Result<(), SiteError> {
        if self.0.contains_key(name) {
            return Err(SiteError::DuplicateRoute(name.to_owned()));
        }
        self.0.insert(name.to_owned(), pattern.to_owned());
        Ok(())
    }

    /// The address of route `name` with its parameters filled in and percent-encoded, so that it
    /// needs no further escaping in HTML; or what is wrong with the question.
    pub(super) fn url_for(
        &self,
        name: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        let pattern = self.0.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            format!("no route is named {name:?}; there are {}", known.join(", "))
        })?;
        let mut url = pattern.clone();
        for (parameter, value) in parameters {
            let place = format!("{{{parameter}}}");
            if !pattern.contains(&place) {
                return Err(format!("the route {name:?} has no parameter {parameter:?}"));
            }
            // Starlette's mounts take `path='/css/x.css'` as well as `path='css/x.css'`.
            url = url.replace(&place, &encode(value.trim_start_matches('/')));
        }
        match url.split_once('{').and_then(|(_, rest)| rest.split_once('}')) {
            Some((missing, _)) => {
                Err(format!("the route {name:?} needs the parameter {missing:?}"))
            }
            None => Ok(url),
        }
    }
}

/// Percent-encodes all but what a path may hold as it is (RFC 3986 §3.3) and HTML too.
fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'/' | b'@' | b':' | b'+' | b',' | b'=' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_root_is_that_of_a_browser() {
        for (path, root) in [
            ("/", "."),
            ("/about", "."),
            ("/about/", ".."),
            ("/a/b", ".."),
            ("/a/b/", "../.."),
            ("//x", ".."),
            ("", "."),
        ] {
            assert_eq!(root_path(path), root, "{path}");
        }
        assert_eq!(root_path(&"/x".repeat(1000)), "");
    }

    fn url_for(name: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
        let mut routes = Routes::default();
        routes.add("whep", "/whep/{camera}").unwrap();
        let parameters = parameters.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        routes.url_for(name, &parameters)
    }

    #[test]
    fn a_name_and_its_parameters_give_the_address() {
        assert_eq!(url_for("index", &[]).unwrap(), "/");
        for path in ["/css/custom.css", "css/custom.css"] {
            assert_eq!(url_for("static", &[("path", path)]).unwrap(), "/static/css/custom.css");
        }
        assert_eq!(url_for("whep", &[("camera", "front")]).unwrap(), "/whep/front");
    }

    #[test]
    fn a_parameter_cannot_break_out_of_the_address() {
        let url = url_for("static", &[("path", "\"><script>{x}?a=1&b#c é%")]).unwrap();
        assert_eq!(url, "/static/%22%3E%3Cscript%3E%7Bx%7D%3Fa=1%26b%23c%20%C3%A9%25");
        // Not an address with another host.
        assert_eq!(url_for("static", &[("path", "//host/x")]).unwrap(), "/static/host/x");
    }

    #[test]
    fn a_wrong_question_says_what_is_wrong() {
        assert!(url_for("nope", &[]).unwrap_err().contains("device, index, static, whep"));
        assert!(url_for("static", &[]).unwrap_err().contains("\"path\""));
        assert!(url_for("index", &[("path", "x")]).unwrap_err().contains("no parameter"));
    }

    #[test]
    fn a_taken_name_is_refused() {
        let error = Routes::default().add("static", "/elsewhere").unwrap_err();
        assert!(matches!(error, SiteError::DuplicateRoute(_)));
    }
}
