//! Errors of the layers below in the words of this one: one sentence, no nested prefixes, a kind.

use std::error::Error as StdError;
use std::io;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use lakemill_base::{ErrorKind, did_you_mean, unknown};
use lakemill_lake::with_sql_types;
use sqlparser::parser::ParserError;

use super::{Error, Position};
use crate::dialect::{parse_error, uncapitalized};

impl From<lakemill_lake::Error> for Error {
    fn from(error: lakemill_lake::Error) -> Self {
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}

impl From<lakemill_learn::Error> for Error {
    fn from(error: lakemill_learn::Error) -> Self {
        Self::new(error.kind(), with_sql_types(&error.to_string())).with_source(error)
    }
}

impl From<lakemill_model::Error> for Error {
    fn from(error: lakemill_model::Error) -> Self {
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}

impl From<lakemill_llm::Error> for Error {
    fn from(error: lakemill_llm::Error) -> Self {
        if error.is_cancelled() {
            return Self::cancelled();
        }
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}

impl From<ParserError> for Error {
    fn from(error: ParserError) -> Self {
        parse_error(error)
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        from_arrow(error)
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match error {
            DataFusionError::SQL(error, _) => parse_error(*error),
            DataFusionError::Diagnostic(diagnostic, inner) => {
                let error = Self::from(*inner);
                match diagnostic.span.filter(|span| span.start.line > 0) {
                    Some(span) => error.at(Position { line: span.start.line, column: span.start.column }),
                    None => error,
                }
            }
            DataFusionError::Context(_, inner) => Self::from(*inner),
            DataFusionError::Shared(shared) => from_shared(&shared),
            DataFusionError::Collection(errors) => match errors.into_iter().next() {
                Some(first) => Self::from(first),
                None => Self::internal("several errors, none of which is known"),
            },
            DataFusionError::SchemaError(error, _) => from_schema(&error),
            DataFusionError::ArrowError(error, _) => from_arrow(*error),
            DataFusionError::ParquetError(error) => from_parquet(*error),
            DataFusionError::ObjectStore(error) => from_object_store(*error),
            DataFusionError::IoError(error) => from_io(&error),
            DataFusionError::External(error) => from_boxed(error),
            DataFusionError::ExecutionJoin(error) => Self::internal(format!("a task of the query failed: {error}")),
            other => from_text(&other),
        }
    }
}

/// An error that several partitions share: it cannot be moved out, so its kind and text are copied.
fn from_shared(shared: &DataFusionError) -> Error {
    match shared {
        DataFusionError::Shared(inner) => from_shared(inner),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_shared(inner),
        DataFusionError::Collection(errors) if !errors.is_empty() => from_shared(&errors[0]),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::ExternalError(inner) => from_ref(inner.as_ref()),
            error => Error::new(arrow_kind(error), arrow_text(error)),
        },
        DataFusionError::External(error) => from_ref(error.as_ref()),
        DataFusionError::SchemaError(error, _) => from_schema(error),
        DataFusionError::IoError(error) => from_io(error),
        other => from_text(other),
    }
}

fn from_ref(error: &(dyn StdError + 'static)) -> Error {
    if let Some(own) = error.downcast_ref::<Error>() {
        let copy = Error::new(own.kind(), own.message());
        return own.position().map_or_else(|| Error::new(own.kind(), own.message()), |at| copy.at(at));
    }
    if let Some(lake) = error.downcast_ref::<lakemill_lake::Error>() {
        return Error::new(lake.kind(), lake.to_string());
    }
    if let Some(learn) = error.downcast_ref::<lakemill_learn::Error>() {
        return Error::new(learn.kind(), with_sql_types(&learn.to_string()));
    }
    if let Some(datafusion) = error.downcast_ref::<DataFusionError>() {
        return from_shared(datafusion);
    }
    if let Some(arrow) = error.downcast_ref::<ArrowError>() {
        return match arrow {
            ArrowError::ExternalError(inner) => from_ref(inner.as_ref()),
            arrow => Error::new(arrow_kind(arrow), arrow_text(arrow)),
        };
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        return from_io(io);
    }
    Error::new(ErrorKind::Data, sentence(&error.to_string()))
}

fn from_boxed(error: Box<dyn StdError + Send + Sync>) -> Error {
    match error.downcast::<Error>() {
        Ok(own) => *own,
        Err(error) => match error.downcast::<DataFusionError>() {
            Ok(inner) => Error::from(*inner),
            Err(error) => match error.downcast::<lakemill_lake::Error>() {
                Ok(lake) => Error::from(*lake),
                Err(error) => match error.downcast::<lakemill_learn::Error>() {
                    Ok(learn) => Error::from(*learn),
                    Err(error) => from_ref(error.as_ref()),
                },
            },
        },
    }
}

fn from_arrow(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => from_boxed(inner),
        ArrowError::IoError(_, inner) => from_io(&inner),
        error => Error::new(arrow_kind(&error), arrow_text(&error)).with_source(error),
    }
}

fn arrow_kind(error: &ArrowError) -> ErrorKind {
    match error {
        ArrowError::NotYetImplemented(_) | ArrowError::InvalidArgumentError(_) | ArrowError::SchemaError(_) => {
            ErrorKind::Invalid
        }
        ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => ErrorKind::Exhausted,
        _ => ErrorKind::Data,
    }
}

fn arrow_text(error: &ArrowError) -> String {
    match error {
        ArrowError::DivideByZero => "division by zero; NULLIF(divisor, 0) gives NULL instead".to_owned(),
        ArrowError::CastError(text)
        | ArrowError::ArithmeticOverflow(text)
        | ArrowError::ComputeError(text)
        | ArrowError::CsvError(text)
        | ArrowError::JsonError(text)
        | ArrowError::ParseError(text)
        | ArrowError::SchemaError(text)
        | ArrowError::MemoryError(text)
        | ArrowError::NotYetImplemented(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::IpcError(text)
        | ArrowError::ParquetError(text)
        | ArrowError::AvroError(text) => sentence(text),
        other => sentence(&other.to_string()),
    }
}

fn from_parquet(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => from_boxed(inner),
        ParquetError::General(text) | ParquetError::EOF(text) => {
            Error::new(ErrorKind::Data, format!("a Parquet file is damaged: {}", sentence(&text)))
        }
        error => {
            Error::new(ErrorKind::Data, format!("a Parquet file cannot be read: {}", sentence(&error.to_string())))
        }
    }
}

fn from_object_store(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { path, .. } => Error::not_found(format!("there is no file '{path}'")),
        object_store::Error::AlreadyExists { path, .. } => {
            Error::new(ErrorKind::Conflict, format!("the file '{path}' exists already"))
        }
        object_store::Error::PermissionDenied { path, .. } | object_store::Error::Unauthenticated { path, .. } => {
            Error::invalid(format!("access to '{path}' is denied; check the credentials or the file's permissions"))
        }
        error => match io_cause(&error) {
            Some(io) => from_io(io),
            None => Error::new(ErrorKind::Unavailable, sentence(&error.to_string())),
        },
    }
}

fn io_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn from_io(error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| {
        let inner: &(dyn StdError + 'static) = inner;
        inner.downcast_ref::<DataFusionError>()
    });
    if let Some(inner) = inner {
        return from_shared(inner);
    }
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Invalid,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Data,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, sentence(&error.to_string()))
}

fn from_schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => Error::invalid(ambiguous(field)),
        SchemaError::DuplicateQualifiedField { qualifier, name } => {
            Error::invalid(format!("column '{qualifier}.{name}' is there twice; give one of them another alias"))
        }
        SchemaError::DuplicateUnqualifiedField { name } => {
            Error::invalid(format!("column '{name}' is there twice; give one of them another alias"))
        }
    }
}

/// A bare name is in two tables; one with its table is there twice, as after `SELECT 1 AS a, * FROM t`.
fn ambiguous(field: &Column) -> String {
    match &field.relation {
        None => format!("column '{0}' is in more than one table; write table.{0}", field.name),
        Some(table) => format!(
            "column '{0}' is there twice: as '{0}' and as '{1}.{0}'; give one of them another name with AS, or leave it \
             out with * EXCEPT ({0})",
            field.name,
            table.table()
        ),
    }
}

fn unknown_column(field: &Column, valid: &[Column]) -> Error {
    if let Some(same) =
        valid.iter().find(|column| column.name != field.name && column.name.eq_ignore_ascii_case(&field.name))
    {
        let message = format!(
            "unknown column '{}'; did you mean \"{}\"? names with capital letters need double quotes",
            field.name, same.name
        );
        return Error::not_found(message);
    }
    if let Some(relation) = &field.relation {
        let mut tables: Vec<&str> =
            valid.iter().filter_map(|column| column.relation.as_ref()).map(|r| r.table()).collect();
        tables.dedup();
        if !tables.contains(&relation.table()) {
            return Error::not_found(unknown("table", relation.table(), tables));
        }
        let columns =
            valid.iter().filter(|column| column.relation.as_ref().is_some_and(|r| r.table() == relation.table()));
        return Error::not_found(unknown("column", &field.name, columns.map(|column| column.name.as_str())));
    }
    Error::not_found(unknown("column", &field.name, valid.iter().map(|column| column.name.as_str())))
}

/// What is left has a text and a variant that tells the kind.
fn from_text(error: &DataFusionError) -> Error {
    let text = error.message();
    let text = text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
    match error {
        DataFusionError::ResourcesExhausted(_) => Error::new(ErrorKind::Exhausted, exhausted(text)),
        DataFusionError::Internal(_) => Error::internal(sentence(text)),
        DataFusionError::Plan(_) => from_plan(text),
        DataFusionError::Configuration(_) => from_configuration(text),
        DataFusionError::NotImplemented(_) => Error::invalid(format!("not supported: {}", sentence(text))),
        DataFusionError::Execution(_) => Error::new(ErrorKind::Data, sentence(text)),
        _ => Error::invalid(sentence(text)),
    }
}

fn from_plan(text: &str) -> Error {
    if let Some(rest) = text.strip_prefix("Invalid function '") {
        let (name, hint) = rest.split_once('\'').unwrap_or((rest, ""));
        let near = hint.split_once("Did you mean '").and_then(|(_, near)| near.split_once('\'')).map(|(near, _)| near);
        // DataFusion names the nearest function, however far it is.
        let near = near.and_then(|near| did_you_mean(name, [near]));
        let suggestion = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        return Error::not_found(format!("unknown function '{name}'{suggestion}"));
    }
    if let Some(rest) = text.split("unique expression names but the expression ").nth(1) {
        let first = rest.split(" at position ").next().unwrap_or(rest).trim_matches('"');
        let name = first.rsplit(" AS ").next().unwrap_or(first);
        return Error::invalid(format!("column '{name}' is there twice; give one of them another name with AS"));
    }
    if let Some(rest) = text.strip_prefix("There is no registered file format with ext ") {
        return Error::invalid(format!(
            "no file format is known by the ending '.{}'; say STORED AS PARQUET, CSV, JSON, AVRO or ARROW",
            rest.trim_end_matches('.')
        ));
    }
    if text.starts_with("Column in SELECT must be in GROUP BY")
        && let Some(column) = text.split("column \"").nth(1).and_then(|rest| rest.split('"').next())
    {
        return Error::invalid(format!(
            "column '{column}' is neither in GROUP BY nor in an aggregate; add it to GROUP BY, or write an aggregate such \
             as max({column})"
        ));
    }
    Error::invalid(sentence(text))
}

/// The name of a setting or of an option of a file format, or its value.
fn from_configuration(text: &str) -> Error {
    if let Some(name) = text.split("find config namespace for key \"").nth(1).and_then(|rest| rest.split('"').next()) {
        return Error::not_found(unknown("setting", name, crate::statement::SETTINGS.iter().copied()));
    }
    if let Some((name, format)) =
        text.split_once("onfig value \"").and_then(|(_, rest)| rest.split_once("\" not found on "))
    {
        let format = format.split_whitespace().next().unwrap_or(format).trim_end_matches("Options");
        let known = if format == "Csv" { CSV_OPTIONS } else { &[] };
        return Error::not_found(unknown(&format!("{} option", format.to_lowercase()), name, known.iter().copied()));
    }
    Error::invalid(sentence(text))
}

/// What CSV files are written and read with.
const CSV_OPTIONS: &[&str] = &[
    "has_header",
    "delimiter",
    "quote",
    "escape",
    "terminator",
    "double_quote",
    "newlines_in_values",
    "compression",
    "date_format",
    "datetime_format",
    "timestamp_format",
    "time_format",
    "null_value",
    "comment",
];

/// The pool's report in fewer words, with what can be done.
fn exhausted(text: &str) -> String {
    const ADVICE: &str =
        "raise the limit with --memory or SET memory_limit, or lower threads, or read fewer columns or rows";
    let consumer = text
        .split("Failed to allocate additional ")
        .nth(1)
        .and_then(|rest| rest.split_once(" for ")?.1.split_once(" with "))
        .map(|(consumer, _)| operator_of(consumer));
    let pool = text.rsplit_once("pool_size: ").map(|(_, size)| size.trim_end_matches([')', '.']).trim().to_owned());
    match (consumer, pool) {
        (Some(consumer), Some(pool)) => format!("the memory limit of {pool} is too low for {consumer}; {ADVICE}"),
        (Some(consumer), None) => format!("the memory limit is too low for {consumer}; {ADVICE}"),
        _ => format!("{}; {ADVICE}", sentence(text)),
    }
}

/// `a hash join` of `HashJoinInput[1]`.
fn operator_of(consumer: &str) -> String {
    let name = consumer.split(['[', '(', '#']).next().unwrap_or(consumer);
    match name {
        "HashJoinInput" => "the build side of a hash join, which cannot spill".to_owned(),
        "CrossJoinExec" => "a cross join, which cannot spill".to_owned(),
        "NestedLoopJoinLoad" | "NestedLoopJoinExec" => "a nested loop join, which cannot spill".to_owned(),
        "ExternalSorter" | "ExternalSorterMerge" => "a sort".to_owned(),
        "GroupedHashAggregateStream" => "an aggregation".to_owned(),
        "TopK" => "ORDER BY .. LIMIT".to_owned(),
        "RepartitionExec" => "an exchange between threads".to_owned(),
        other => format!("'{other}'"),
    }
}

/// A message of a library as a sentence of ours: no prefixes of error types, a small first letter, no full stop.
fn sentence(text: &str) -> String {
    const PREFIXES: &[&str] = &[
        "Arrow error: ",
        "External error: ",
        "External: ",
        "Parquet error: ",
        "Object Store error: ",
        "IO error: ",
        "Execution error: ",
        "Error during planning: ",
        "Schema error: ",
        "Invalid argument error: ",
        "Cast error: ",
        "Parser error: ",
        "Compute error: ",
        "Csv error: ",
        "Json error: ",
        "Generic LocalFileSystem error: ",
        "Generic S3 error: ",
        "Optimizer rule ",
        "Internal error: ",
    ];
    const BUG: &str = "This issue was likely caused by a bug";
    let mut text = text.split(BUG).next().unwrap_or_default().trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest.trim_start();
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    uncapitalized(&with_sql_types(text.trim_end_matches('.')))
}
