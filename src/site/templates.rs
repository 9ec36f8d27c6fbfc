//! The template engine: Jinja2's language, bounded in steps, depth, size and memory (see
//! [`budget`]) so that a broken template costs an error page and nothing more.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;

use minijinja::value::{Kwargs, Serde};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};
use serde::Serialize;

use super::budget;
use super::defaults;
use super::error::{TemplateError, TemplateFault};
use super::folder::{Folder, ReadError};
use super::name::FileName;
use super::urls::Routes;
use super::{SiteError, operators};

/// Steps of the template machine for one page; the default page takes a few hundred.
const FUEL: u64 = 50_000;
/// An `include` costs 10 of these, a macro 4.
const RECURSION: usize = 200;
/// A page is at most this large.
const MAX_PAGE: usize = 2 << 20;
/// A template is at most this large. The engine takes many times as much to read it.
const MAX_TEMPLATE: u64 = 128 << 10;

/// The value that says how a page gets to the site's root; see [`root_path`](super::root_path).
const ROOT_PATH: &str = "root_path";

/// Renders pages.
pub(super) struct Engine {
    environment: Environment<'static>,
    routes: Routes,
    source: TemplateSource,
}

/// Where templates come from.
#[derive(Clone)]
enum TemplateSource {
    Embedded,
    /// The user's folder first.
    Disk(Folder),
}

impl Engine {
    pub(super) fn embedded() -> Self {
        Self::new(TemplateSource::Embedded)
    }

    /// Takes templates from `folder`, and default templates that it does not have from the
    /// embedded copy.
    pub(super) fn with_folder(folder: Folder) -> Self {
        Self::new(TemplateSource::Disk(folder))
    }

    fn new(source: TemplateSource) -> Self {
        let mut environment = Environment::new();
        environment.set_loader({
            let source = source.clone();
            move |name| source.load(name)
        });
        // As Starlette does, whatever the extension: a page is HTML.
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        budget::limit(&mut environment);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION);
        let mut engine = Self { environment, routes: Routes::default(), source };
        engine.publish_routes();
        engine
    }

    /// Gives an address a name for `url_for`.
    pub(super) fn add_route(&mut self, name: &str, pattern: &str) -> Result<(), SiteError> {
        self.routes.add(name, pattern)?;
        self.publish_routes();
        Ok(())
    }

    fn publish_routes(&mut self) {
        let routes = self.routes.clone();
        let function = move |state: &State<'_, '_>, name: String, parameters: Kwargs| {
            url_for(&routes, state, &name, &parameters)
        };
        self.environment.add_function("url_for", function);
    }

    /// Compiles the template without rendering it.
    pub(super) fn check(&self, name: &str) -> Result<(), TemplateError> {
        self.current().get_template(name).map(drop).map_err(|error| describe(name, &error))
    }

    pub(super) fn render(
        &self,
        name: &str,
        context: &impl Serialize,
    ) -> Result<String, TemplateError> {
        let environment = self.current();
        let mut output = BoundedOutput::default();
        let (rendered, exceeded) = budget::with_budget(|| {
            let template = environment.get_template(name)?;
            template.render_captured_to(Serde(context), &mut output).map(drop)
        });
        rendered.map_err(|error| match (output.full, exceeded) {
            (true, _) => too_large(name),
            (false, true) => {
                TemplateError { fault: TemplateFault::TooLarge, ..describe(name, &error) }
            }
            (false, false) => describe(name, &error),
        })?;
        String::from_utf8(output.bytes).map_err(|_| describe(name, &ErrorKind::WriteFailure.into()))
    }

    /// The environment to work with. Embedded templates are compiled once and kept. Files are
    /// read again for each page, in an environment that is dropped with it: they may change at any
    /// time, and the library would keep every replaced version for as long as it lives.
    fn current(&self) -> Cow<'_, Environment<'static>> {
        match self.source {
            TemplateSource::Embedded => Cow::Borrowed(&self.environment),
            TemplateSource::Disk(_) => Cow::Owned(self.environment.clone()),
        }
    }
}

impl TemplateSource {
    fn load(&self, name: &str) -> Result<Option<String>, Error> {
        let embedded = defaults::template(name).map(str::to_owned);
        let (Self::Disk(folder), Ok(file)) = (self, FileName::parse(name)) else {
            return Ok(embedded);
        };
        match folder.read(&file, MAX_TEMPLATE) {
            Ok(found) => match str::from_utf8(&found.bytes) {
                Ok(text) => operators::instrument(name, text).map(Some),
                Err(_) => Err(Error::new(ErrorKind::SyntaxError, "it is not UTF-8 text")),
            },
            Err(ReadError::NotFound) => Ok(embedded),
            // The report at the start has told the owner.
            Err(_) if embedded.is_some() => Ok(embedded),
            Err(reason) => Err(Error::new(ErrorKind::InvalidOperation, reason.to_string())),
        }
    }
}

fn url_for(
    routes: &Routes,
    state: &State<'_, '_>,
    name: &str,
    parameters: &Kwargs,
) -> Result<Value, Error> {
    let mut given = BTreeMap::new();
    for parameter in parameters.args() {
        given.insert(parameter.to_owned(), parameters.get::<Value>(parameter)?.to_string());
    }
    // What does not know where it is shown gets absolute addresses.
    let root = state.lookup(ROOT_PATH).and_then(|root| root.as_str().map(str::to_owned));
    let url = routes.url_for(name, &given).map(|url| root.unwrap_or_default() + &url);
    // Encoded for HTML already; the engine's escaping would turn every '/' into an entity.
    url.map(Value::from_safe_string)
        .map_err(|reason| Error::new(ErrorKind::InvalidOperation, reason))
}

/// Collects a page up to its greatest size.
#[derive(Default)]
struct BoundedOutput {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for BoundedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_PAGE {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_large(name: &str) -> TemplateError {
    TemplateError {
        fault: TemplateFault::TooLarge,
        template: name.to_owned(),
        line: None,
        message: format!("the page is larger than {} MiB", MAX_PAGE >> 20),
    }
}

/// Turns the library's error into ours. It wraps the fault of an included template into one of
/// the including template; the innermost is where the owner has to look.
fn describe(name: &str, error: &Error) -> TemplateError {
    let mut innermost = error;
    while let Some(inner) = innermost.source().and_then(|source| source.downcast_ref::<Error>()) {
        innermost = inner;
    }
    let kind = innermost.kind();
    if kind == ErrorKind::TemplateNotFound && error.line().is_none() {
        return TemplateError::missing(name);
    }
    let mut message = innermost.kind().to_string();
    if let Some(detail) = innermost.detail() {
        message = format!("{message}: {detail}");
    }
    let fault = match kind {
        ErrorKind::TemplateNotFound => TemplateFault::Missing,
        ErrorKind::SyntaxError | ErrorKind::BadEscape => TemplateFault::Syntax,
        ErrorKind::OutOfFuel => TemplateFault::Endless,
        // The library has no kind of its own for this one.
        _ if message.contains("recursion limit") => TemplateFault::Endless,
        _ => TemplateFault::Failed,
    };
    TemplateError {
        fault,
        template: innermost.name().or(error.name()).unwrap_or(name).to_owned(),
        line: innermost.line().or(error.line()),
        message,
    }
}
