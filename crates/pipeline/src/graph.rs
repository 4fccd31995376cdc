//! The statements of a pipeline in order, with what each reads and writes.
//!
//! **Architecture invariant:** statements run in the order of their files. The graph only decides which of them
//! need to.

use std::collections::HashMap;

use lakemill_query::{ObjectRef, Parsed, Session, StatementKind};

use crate::definition::Pipeline;
use crate::error::{Error, Result};
use crate::normalize;

/// One statement of the pipeline.
#[derive(Debug)]
pub(crate) struct Node {
    /// Index of its step.
    pub(crate) step: usize,
    /// The statement.
    pub(crate) parsed: Parsed,
    /// It in a few words.
    pub(crate) label: String,
    /// The key of its record: a digest of its text, numbered where a step repeats a statement.
    pub(crate) key: String,
    /// What it reads.
    pub(crate) reads: Vec<ObjectRef>,
    /// What it makes, changes or drops.
    pub(crate) writes: Vec<ObjectRef>,
}

impl Node {
    /// It changes the session alone, so it runs whenever a statement of its step does.
    pub(crate) fn is_session(&self) -> bool {
        self.parsed.kind == StatementKind::Session
    }

    /// Running it twice changes no more than running it once: it makes its output anew, or changes nothing.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self.parsed.kind {
            StatementKind::Write => self.label.starts_with("CREATE") || self.label.starts_with("TRUNCATE"),
            _ => true,
        }
    }
}

/// All statements of a pipeline.
#[derive(Debug)]
pub(crate) struct Graph {
    /// In the order in which they run.
    pub(crate) nodes: Vec<Node>,
    writers: HashMap<ObjectRef, Vec<usize>>,
}

impl Graph {
    /// Parses the steps.
    pub(crate) fn of(pipeline: &Pipeline, session: &Session) -> Result<Self> {
        let mut nodes = Vec::new();
        for (step, definition) in pipeline.steps.iter().enumerate() {
            let statements = session
                .parse(&definition.text)
                .map_err(|error| Error::in_file(error, &definition.path, &definition.text, (1, 1)))?;
            let mut seen: HashMap<String, usize> = HashMap::new();
            for parsed in statements {
                let digest = normalize::text_digest(&parsed.text);
                let times = seen.entry(digest.clone()).or_default();
                *times += 1;
                let key = if *times == 1 { digest } else { format!("{digest}#{times}") };
                let reads: Vec<ObjectRef> = parsed.reads.iter().cloned().collect();
                let writes: Vec<ObjectRef> = parsed.writes.iter().cloned().collect();
                // Records and plans name files as the text does; only execution needs the whole path.
                let parsed = parsed.based_in(&pipeline.dir);
                let label = normalize::label(&parsed.text, writes.first().map(|object| object.name.as_str()));
                nodes.push(Node { step, label, key, reads, writes, parsed });
            }
        }
        let mut writers: HashMap<ObjectRef, Vec<usize>> = HashMap::new();
        for (index, node) in nodes.iter().enumerate() {
            for object in &node.writes {
                writers.entry(object.clone()).or_default().push(index);
            }
        }
        Ok(Self { nodes, writers })
    }

    /// The statements that write an object, in order.
    pub(crate) fn writers(&self, object: &ObjectRef) -> &[usize] {
        self.writers.get(object).map_or(&[], Vec::as_slice)
    }

    /// The last statement before `index` that writes an object.
    pub(crate) fn writer_before(&self, object: &ObjectRef, index: usize) -> Option<usize> {
        self.writers(object).iter().copied().take_while(|writer| *writer < index).last()
    }

    /// Whether no statement after `index` writes an object.
    pub(crate) fn is_last_writer(&self, object: &ObjectRef, index: usize) -> bool {
        self.writers(object).last() == Some(&index)
    }

    /// The statements of a step.
    pub(crate) fn of_step(&self, step: usize) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes.iter().enumerate().filter(move |(_, node)| node.step == step)
    }
}
