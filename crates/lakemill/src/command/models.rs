//! `lakemill models`: models of the lake, and files of language models.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use futures::FutureExt;
use indicatif::HumanBytes;
use lakemill_lake::{ModelEntry, ModelName};
use lakemill_model::files::ModelFiles;
use lakemill_model::source::{Cache, CachedModel, Source};
use lakemill_query::Session;
use serde_json::{Value, json};

use super::language::{Bar, advance, is_source};
use super::listing::{self, Section, instant};
use super::tables::lineage_value;
use crate::cli::{GlobalArgs, ModelsArgs, ModelsCommand};
use crate::engine::{Engine, look};
use crate::failure::Cancelled;
use crate::output::Format;

/// Lists models, describes one, or sees to the files of language models.
pub(super) fn run(global: &GlobalArgs, args: &ModelsArgs) -> Result<u8> {
    match (&args.command, &args.name) {
        (Some(ModelsCommand::Pull { source }), _) => pull(global, source),
        (Some(ModelsCommand::List { format }), _) => list_all(global, *format),
        (Some(ModelsCommand::Show { name, format }), _) if is_source(name) => show_files(name, *format),
        (Some(ModelsCommand::Rm { name }), _) => remove(name),
        (Some(ModelsCommand::Show { name, format }), _) => {
            look(global, async |session| describe(session, name, *format).await)
        }
        (None, Some(name)) => look(global, async |session| describe(session, name, args.format).await),
        (None, None) => look(global, async |session| list(session, args.format).await),
    }
}

/// Fetches files; Ctrl-C stops that, and the next time goes on.
fn pull(global: &GlobalArgs, source: &str) -> Result<u8> {
    let (cache, source) = (Cache::from_env()?, Source::parse(source)?);
    let engine = Engine::start(global)?;
    let flag = engine.interrupts().arm();
    let bar = Bar::start("fetching");
    let shown = bar.0.clone();
    let work = move || {
        cache.pull(&source, &mut |progress| {
            shown.set_message(progress.file.to_owned());
            advance(&shown, progress.bytes_done, progress.bytes_total);
        })
    };
    let path = engine.block_on(
        async {
            tokio::select! {
                path = tokio::task::spawn_blocking(work) => Ok(path.context("a thread has failed")??),
                () = flag.wait() => Err(Cancelled.into()),
            }
        }
        .boxed_local(),
    )?;
    drop(bar);
    writeln!(io::stdout(), "{}", path.display())?;
    Ok(0)
}

/// Lists the models of the lake, where there is one, and the files that are here.
fn list_all(global: &GlobalArgs, format: Format) -> Result<u8> {
    let files = Cache::from_env()?.list()?;
    let engine = Engine::start(global)?;
    let models = async {
        match engine.lake_is_missing() {
            true => Ok(Vec::new()),
            false => Ok(engine.lake_session().await?.lake().models(None).await?),
        }
    };
    let models = engine.block_on(models.boxed_local())?;
    if format == Format::Table && models.is_empty() && files.is_empty() {
        writeln!(
            io::stderr(),
            "there are no models yet; CREATE MODEL trains one, and lakemill models pull SOURCE fetches a language model"
        )?;
        return Ok(0);
    }
    let sections = [Section::rows("lake", entries(&models)?), Section::rows("files", cached(&files, format)?)];
    listing::describe("models", &[], &sections, format)?;
    Ok(0)
}

/// Files as rows; people read sizes in other units than programs.
fn cached(files: &[CachedModel], format: Format) -> Result<RecordBatch> {
    let text = |value: &dyn Fn(&CachedModel) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(files.iter().map(value)))
    };
    let sizes: ArrayRef = match format {
        Format::Json | Format::Jsonl => Arc::new(UInt64Array::from_iter_values(files.iter().map(|file| file.bytes))),
        _ => text(&|file| HumanBytes(file.bytes).to_string()),
    };
    Ok(RecordBatch::try_from_iter([
        ("name", text(&|file| file.name.clone())),
        ("kind", text(&|file| file.kind.to_owned())),
        (if matches!(format, Format::Json | Format::Jsonl) { "bytes" } else { "size" }, sizes),
        ("path", text(&|file| file.path.display().to_string())),
    ])?)
}

/// Describes the files of a language model, which must be here.
fn show_files(name: &str, format: Format) -> Result<u8> {
    let source = Source::parse(name)?;
    let path = match &source {
        Source::Path(path) => path.clone(),
        _ => Cache::from_env()?.show(&source)?.path,
    };
    let files = ModelFiles::open(&path)?;
    let mut properties = vec![
        ("path", json!(path.display().to_string())),
        ("purpose", json!(format!("{:?}", files.purpose()?).to_lowercase())),
    ];
    if let Ok(architecture) = files.architecture() {
        properties.extend([
            ("architecture", json!(architecture.family)),
            ("layers", json!(architecture.layers)),
            ("width", json!(architecture.width)),
            ("heads", json!(architecture.heads)),
            ("key-value heads", json!(architecture.kv_heads)),
            ("feed-forward width", json!(architecture.feed_forward)),
            ("vocabulary", json!(architecture.vocabulary)),
            ("context tokens", json!(architecture.context_tokens)),
        ]);
    }
    let template = files.chat_template()?;
    properties.push(("chat template", json!(if template.is_some() { "yes" } else { "no" })));
    listing::describe(name, &properties, &[], format)?;
    Ok(0)
}

fn remove(name: &str) -> Result<u8> {
    let bytes = Cache::from_env()?.remove(&Source::parse(name)?)?;
    writeln!(io::stderr(), "removed {name}: {} are free", HumanBytes(bytes))?;
    Ok(0)
}

async fn list(session: &Session, format: Format) -> Result<()> {
    let models = session.lake().models(None).await?;
    if models.is_empty() && format == Format::Table {
        writeln!(io::stderr(), "the lake has no models yet; CREATE MODEL trains one")?;
        return Ok(());
    }
    listing::print(&entries(&models)?, format)
}

/// Models of the lake as rows.
fn entries(models: &[ModelEntry]) -> Result<RecordBatch> {
    let text = |value: fn(&ModelEntry) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(models.iter().map(value)))
    };
    let versions: ArrayRef = Arc::new(UInt64Array::from_iter_values(models.iter().map(|m| m.version.version)));
    Ok(RecordBatch::try_from_iter([
        ("namespace", text(|m| m.version.name.namespace.clone())),
        ("name", text(|m| m.version.name.model.clone())),
        ("type", text(|m| m.model_type.clone())),
        ("version", versions),
        ("metrics", text(|m| metrics(&m.summary))),
        ("created", text(|m| instant(m.version.created_ms))),
    ])?)
}

/// The metrics of the held-out rows in a few words.
fn metrics(summary: &Value) -> String {
    let Some(Value::Object(metrics)) = summary.get("metrics") else { return String::new() };
    let shown = metrics.iter().filter_map(|(name, value)| Some(format!("{name} {:.4}", value.as_f64()?)));
    shown.collect::<Vec<_>>().join(", ")
}

async fn describe(session: &Session, name: &str, format: Format) -> Result<()> {
    let (namespace, model) = listing::qualified(name, &session.namespace());
    let name = ModelName::new(namespace, model);
    let lake = session.lake();
    let entry = lake.model(&name, None).await?;
    let properties = [
        ("type", json!(entry.model_type)),
        ("version", json!(entry.version.version)),
        ("created", json!(instant(entry.version.created_ms))),
        ("artifact", json!(entry.version.path)),
    ];
    let mut sections = Vec::new();
    if let Value::Object(summary) = &entry.summary {
        sections.extend(summary.iter().map(|(key, value)| Section::value(key, value.clone())));
    }
    let versions = lake.model_versions(&name).await?;
    let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(versions.iter().map(|v| v.version)));
    let created: ArrayRef = Arc::new(StringArray::from_iter_values(versions.iter().map(|v| instant(v.created_ms))));
    let paths: ArrayRef = Arc::new(StringArray::from_iter_values(versions.iter().map(|v| v.path.as_str())));
    let versions = RecordBatch::try_from_iter([("version", numbers), ("created", created), ("artifact", paths)])?;
    sections.push(Section::rows("versions", versions));
    let records = lake.lineage_of("model", &name.namespace, &name.model).await?;
    let lineage = match records.first() {
        Some(record) => lineage_value(record),
        None => entry.lineage.clone(),
    };
    sections.push(Section::value("lineage", lineage));
    listing::describe(&name.to_string(), &properties, &sections, format)
}
