//! Shows the [`site`](crate::site) room to the [`http`](crate::http) room.

use std::sync::Arc;

use serde_json::Value;

use crate::http::{PageError, Pages, StaticFile};
use crate::site::Site;

/// The site, with what every page may say.
pub(super) struct SitePages {
    site: Arc<Site>,
    hostname: String,
}

impl SitePages {
    pub(super) fn new(site: Arc<Site>, hostname: String) -> Self {
        Self { site, hostname }
    }
}

impl Pages for SitePages {
    fn render(&self, template: &str, context: &Value) -> Result<String, PageError> {
        let mut context = context.clone();
        if let Value::Object(fields) = &mut context {
            fields.insert("hostname".into(), self.hostname.clone().into());
        }
        self.site
            .render(template, &context)
            .map_err(|e| PageError(e.to_string()))
    }

    fn file(&self, name: &str) -> Option<StaticFile> {
        self.site.file(name).map(shown)
    }

    fn pages(&self) -> Vec<(String, String)> {
        self.site
            .pages()
            .iter()
            .map(|p| (p.path().to_owned(), p.template().to_owned()))
            .collect()
    }

    fn mounts(&self) -> Vec<String> {
        self.site
            .mounts()
            .iter()
            .map(|m| m.prefix().to_owned())
            .collect()
    }

    fn mounted_file(&self, prefix: &str, name: &str) -> Option<StaticFile> {
        let mount = self.site.mounts().iter().find(|m| m.prefix() == prefix)?;
        mount.file(name).map(shown)
    }
}

fn shown(file: crate::site::StaticFile) -> StaticFile {
    StaticFile {
        bytes: file.bytes,
        mime: file.mime,
        etag: file.etag,
    }
}
