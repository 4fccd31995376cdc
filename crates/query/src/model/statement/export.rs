//! EXPORT MODEL: the files of a model's artifact, to a folder or an object store.

use std::path::Path as FilePath;

use datafusion::datasource::object_store::ObjectStoreUrl;
use lakemill_base::{ErrorKind, unknown};
use lakemill_learn::OptionValue;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use sqlparser::ast::Expr;
use url::Url;

use super::describe::named;
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::model::cache::AnyModel;
use crate::model::parse::LocatedOption;
use crate::model::transform::position;
use crate::outcome::{Outcome, Summary};
use crate::session::StatementScope;
use crate::{Error, Result};

/// Writes a model's files under a URI.
pub(in crate::model) async fn export(
    scope: &StatementScope,
    model: &Expr,
    options: &[LocatedOption],
) -> Result<Outcome> {
    let model = match named(scope, model).await? {
        AnyModel::Predictive(model) => model,
        AnyModel::Language(handle) => {
            return Err(Error::invalid(format!(
                "model {} is imported: its files are those of '{}'; copy them from there",
                handle.info.name, handle.info.source
            )));
        }
    };
    let target = Target::new(options).map_err(|error| scope.shifted(error))?;
    scope.check_location(&target.uri).await?;
    let base = target.url()?;
    let root = &base[..url::Position::BeforePath];
    let store = scope.state().runtime_env().object_store(ObjectStoreUrl::parse(root)?)?;
    let folder = Path::from_url_path(base.path()).map_err(|error| Error::invalid(format!("uri: {error}")))?;
    let manifest = folder.clone().join("manifest.json");
    if !target.overwrite && store.head(&manifest).await.is_ok() {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("'{}' holds a model already; choose another uri or add overwrite = TRUE", target.uri),
        ));
    }
    let mut bytes = 0;
    for (name, content) in &model.handle.files {
        bytes += content.len();
        let payload = PutPayload::from_bytes(content.clone());
        let put = store.put(&folder.clone().join(name.as_str()), payload).await;
        put.map_err(|error| write_failed(&target.uri, error))?;
    }
    scope.record_write(ObjectRef::file(&target.uri), ObjectVersion::Version(model.handle.version));
    let files = model.handle.files.len();
    let message = format!("exported model {} to '{}': {files} files", model.handle, target.uri);
    Ok(Outcome::Done(Summary::new(message).with_detail("bytes", bytes)))
}

fn write_failed(uri: &str, error: object_store::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("'{uri}' cannot be written: {error}")).with_source(error)
}

struct Target {
    uri: String,
    overwrite: bool,
}

impl Target {
    fn new(options: &[LocatedOption]) -> Result<Self> {
        let (mut uri, mut overwrite) = (None, false);
        for option in options {
            let wrong = |what: &str| {
                Error::invalid(format!("option '{}' is {what}, not {}", option.name, option.value))
                    .at(position(option.at))
            };
            match (option.name.as_str(), &option.value) {
                ("uri", OptionValue::String(text)) if !text.is_empty() => uri = Some(text.clone()),
                ("uri", _) => return Err(wrong("a folder or a URL")),
                ("overwrite", OptionValue::Bool(value)) => overwrite = *value,
                ("overwrite", _) => return Err(wrong("TRUE or FALSE")),
                (name, _) => {
                    return Err(Error::invalid(unknown("option", name, ["uri", "overwrite"])).at(position(option.at)));
                }
            }
        }
        match uri {
            Some(uri) => Ok(Self { uri, overwrite }),
            None => Err(Error::invalid("EXPORT MODEL needs a place: OPTIONS (uri = 'folder')")),
        }
    }

    /// The place as the URL of a folder; a path without a scheme is relative to the working folder.
    fn url(&self) -> Result<Url> {
        let wrong = |why: String| Error::invalid(format!("uri '{}' is no folder or URL: {why}", self.uri));
        if self.uri.contains("://") {
            let text = if self.uri.ends_with('/') { self.uri.clone() } else { format!("{}/", self.uri) };
            return Url::parse(&text).map_err(|error| wrong(error.to_string()));
        }
        let path = std::path::absolute(FilePath::new(&self.uri)).map_err(|error| wrong(error.to_string()))?;
        Url::from_directory_path(path).map_err(|()| wrong("the path cannot be written as a URL".into()))
    }
}
