//! What the catalog keeps of a step: one record for each statement that has run.

use lakemill_query::{ObjectKind, ObjectRef};
use serde::{Deserialize, Serialize};

use crate::fingerprint::FileStamp;

/// Records of another format are not trusted: everything runs again.
pub(crate) const STATE_FORMAT: u32 = 1;

/// The state of a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StepState {
    /// [`STATE_FORMAT`] of the writer.
    pub(crate) format: u32,
    /// In the order of the file.
    pub(crate) statements: Vec<StatementRecord>,
}

impl Default for StepState {
    fn default() -> Self {
        Self { format: STATE_FORMAT, statements: Vec::new() }
    }
}

impl StepState {
    /// The state that the catalog gave, empty if there is none or it cannot be used.
    pub(crate) fn from_json(value: Option<serde_json::Value>) -> Self {
        let state: Option<Self> = value.and_then(|value| serde_json::from_value(value).ok());
        state.filter(|state| state.format == STATE_FORMAT).unwrap_or_default()
    }

    pub(crate) fn record(&self, key: &str) -> Option<&StatementRecord> {
        self.statements.iter().find(|record| record.key == key)
    }

    /// Puts a record in, in place of the one with its key.
    pub(crate) fn put(&mut self, record: StatementRecord) {
        match self.statements.iter_mut().find(|other| other.key == record.key) {
            Some(place) => *place = record,
            None => self.statements.push(record),
        }
    }

    /// Keeps only the records of these statements, in their order.
    pub(crate) fn retain(&mut self, keys: &[&str]) {
        self.statements.retain(|record| keys.contains(&record.key.as_str()));
        self.statements.sort_by_key(|record| keys.iter().position(|key| *key == record.key));
    }
}

/// What is known of a statement's last run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StatementRecord {
    /// The digest of its text.
    pub(crate) key: String,
    /// It in a few words.
    pub(crate) label: String,
    /// False from just before it runs until its commit is known.
    pub(crate) done: bool,
    /// What it read.
    pub(crate) inputs: Vec<ObjectRecord>,
    /// What it wrote, as it stood afterwards; while it is not done, as it stood before.
    pub(crate) outputs: Vec<ObjectRecord>,
    /// The run that ran it.
    pub(crate) run: String,
    /// Rows written.
    pub(crate) rows: Option<u64>,
    /// How long it took.
    pub(crate) seconds: f64,
    /// What it did, in one line.
    pub(crate) message: String,
    /// Further figures.
    pub(crate) details: Vec<(String, String)>,
    /// The first rows of a query.
    pub(crate) preview: Option<Preview>,
    /// When it was done, in milliseconds since the epoch.
    pub(crate) finished_ms: i64,
}

impl StatementRecord {
    pub(crate) fn input(&self, object: &ObjectRef) -> Option<&ObjectRecord> {
        self.inputs.iter().find(|record| record.is(object))
    }

    pub(crate) fn output(&self, object: &ObjectRef) -> Option<&ObjectRecord> {
        self.outputs.iter().find(|record| record.is(object))
    }
}

/// One object at the version that a statement read or wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    /// `table`, `model` or `file`.
    pub(crate) kind: String,
    /// The full name, or the path as the SQL gives it.
    pub(crate) name: String,
    /// See [`crate::fingerprint`].
    pub(crate) fingerprint: String,
    /// The raw files behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<FileStamp>,
}

impl ObjectRecord {
    pub(crate) fn is(&self, object: &ObjectRef) -> bool {
        self.kind == object.kind.as_str() && self.name == object.name
    }

    /// The object that the record is of.
    pub(crate) fn object(&self) -> ObjectRef {
        match self.kind.as_str() {
            kind if kind == ObjectKind::Model.as_str() => ObjectRef::model(&self.name),
            kind if kind == ObjectKind::File.as_str() => ObjectRef::file(&self.name),
            _ => ObjectRef::table(&self.name),
        }
    }
}

/// The first rows of a query's result, as text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// What the query shows: the comment above it in the file.
    pub title: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Whether a column holds numbers.
    pub numeric: Vec<bool>,
    /// The cells; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// There are more rows than these.
    pub more: bool,
}

/// One finding about the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// The table or file.
    pub relation: String,
    /// What was found.
    pub finding: String,
    /// Rows that it concerns.
    pub rows: u64,
    /// Of how many.
    pub of_rows: u64,
    /// What was done with them.
    pub treatment: String,
}

#[cfg(test)]
mod tests {
    use super::{StatementRecord, StepState};

    #[test]
    fn a_state_of_another_format_is_not_trusted() {
        let mut state = StepState::default();
        state.put(StatementRecord { key: "k".into(), ..StatementRecord::default() });
        let mut json = serde_json::to_value(&state).unwrap();
        assert_eq!(StepState::from_json(Some(json.clone())).statements.len(), 1);
        json["format"] = 99.into();
        assert!(StepState::from_json(Some(json)).statements.is_empty());
        assert!(StepState::from_json(Some(serde_json::json!("junk"))).statements.is_empty());
    }
}
