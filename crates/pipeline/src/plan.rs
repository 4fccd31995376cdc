//! Which statements must run, and why.
//!
//! The rule, statement by statement in order: it is up to date if it has a record with its text, if everything
//! it reads is as the record says, and if what it wrote is still what it wrote. An object that several
//! statements write has a version after each of them; a reader is compared with the version that the writer
//! before it left. Where a statement must run but the object is no longer as the writer before it left it,
//! those writers run again too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use lakemill_query::{ObjectRef, Session};

use crate::definition::Pipeline;
use crate::error::Result;
use crate::fingerprint::{ABSENT, Fingerprints};
use crate::graph::{Graph, Node};
use crate::run::RunOptions;
use crate::state::{StatementRecord, StepState};

/// What a run would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The steps in order.
    pub steps: Vec<PlannedStep>,
}

/// What a run would do with one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Whether it is among the steps asked for.
    pub selected: bool,
    /// Its statements in order.
    pub statements: Vec<PlannedStatement>,
}

/// What a run would do with one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStatement {
    /// Line of the step's file.
    pub line: u64,
    /// It in a few words.
    pub label: String,
    /// What would be done.
    pub action: Action,
}

/// What would be done with a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing has changed.
    UpToDate,
    /// The last run was interrupted after this statement's commit: only its record is missing.
    Record,
    /// It runs.
    Run(Reason),
}

/// Why a statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was asked for.
    Forced,
    /// It has no record.
    NeverRan,
    /// The text is not that of the record.
    ChangedSql,
    /// The last run did not finish it.
    Interrupted,
    /// Something that it reads has another version now.
    NewInput(ObjectRef),
    /// Something that it reads will be written before.
    Upstream(ObjectRef),
    /// What it wrote was changed by somebody else.
    OutputChanged(ObjectRef),
    /// What it wrote is gone.
    OutputMissing(ObjectRef),
    /// Another statement of the pipeline that writes the same object runs.
    SharedOutput(ObjectRef),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forced => f.write_str("forced"),
            Self::NeverRan => f.write_str("never ran"),
            Self::ChangedSql => f.write_str("its SQL has changed"),
            Self::Interrupted => f.write_str("the last run did not finish it"),
            Self::NewInput(object) => write!(f, "{} has changed", readable(object)),
            Self::Upstream(object) => write!(f, "{} is made anew", readable(object)),
            Self::OutputChanged(object) => write!(f, "{} was changed outside the pipeline", readable(object)),
            Self::OutputMissing(object) => write!(f, "{} is gone", readable(object)),
            Self::SharedOutput(object) => write!(f, "{} is written again from the start", readable(object)),
        }
    }
}

/// `table main.flights` without the default namespace.
pub(crate) fn readable(object: &ObjectRef) -> String {
    let default = format!("{}.", lakemill_lake::DEFAULT_NAMESPACE);
    let name = object.name.strip_prefix(&default).unwrap_or(&object.name);
    format!("{} {name}", object.kind.as_str())
}

impl Plan {
    /// Whether nothing has to run.
    pub fn is_up_to_date(&self) -> bool {
        self.steps.iter().filter(|step| step.selected).all(PlannedStep::is_up_to_date)
    }
}

impl PlannedStep {
    /// Whether none of its statements has to run.
    pub fn is_up_to_date(&self) -> bool {
        self.statements.iter().all(|statement| statement.action == Action::UpToDate)
    }

    /// Why its first statement that has to run does.
    pub fn reason(&self) -> Option<&Reason> {
        self.statements.iter().find_map(|statement| match &statement.action {
            Action::Run(reason) => Some(reason),
            Action::UpToDate | Action::Record => None,
        })
    }
}

impl Pipeline {
    /// What a run would do, and why. Nothing is changed.
    ///
    /// # Errors
    /// If a step cannot be parsed (with file, line and column), an option names a step that is not there, or
    /// the catalog or a raw file cannot be read.
    pub async fn plan(&self, session: &Session, options: &RunOptions) -> Result<Plan> {
        let graph = Graph::of(self, session)?;
        let selected = options.selected(self)?;
        let states = load_states(self, session).await?;
        let mut fingerprints = Fingerprints::new(session, &self.dir);
        let actions = actions(&graph, &states, &mut fingerprints, options.force, &selected).await?;
        Ok(describe(self, &graph, &selected, &actions))
    }
}

/// The states of all steps.
pub(crate) async fn load_states(pipeline: &Pipeline, session: &Session) -> Result<Vec<StepState>> {
    let mut states = Vec::with_capacity(pipeline.steps.len());
    for step in &pipeline.steps {
        let value = session.lake().step_state(&pipeline.name, &step.id).await?;
        states.push(StepState::from_json(value));
    }
    Ok(states)
}

pub(crate) fn describe(pipeline: &Pipeline, graph: &Graph, selected: &[bool], actions: &[Action]) -> Plan {
    let steps = pipeline.steps.iter().enumerate().map(|(index, step)| PlannedStep {
        id: step.id.clone(),
        title: step.title.clone(),
        selected: selected[index],
        statements: graph
            .of_step(index)
            .map(|(at, node)| PlannedStatement {
                line: node.parsed.line,
                label: node.label.clone(),
                action: actions[at].clone(),
            })
            .collect(),
    });
    Plan { steps: steps.collect() }
}

/// What to do with each statement.
pub(crate) async fn actions(
    graph: &Graph,
    states: &[StepState],
    fingerprints: &mut Fingerprints<'_>,
    force: bool,
    selected: &[bool],
) -> Result<Vec<Action>> {
    let current = current(graph, states, fingerprints).await?;
    let mut again: BTreeMap<usize, Reason> = BTreeMap::new();
    if force {
        let chosen = graph.nodes.iter().enumerate().filter(|(_, node)| selected[node.step]);
        again.extend(chosen.map(|(index, _)| (index, Reason::Forced)));
    }
    // Each round adds at least one statement, so there are at most as many rounds as statements.
    loop {
        let simulation = simulate(graph, states, &current, &again, selected);
        if simulation.again.is_empty() {
            return Ok(simulation.actions);
        }
        again.extend(simulation.again);
    }
}

/// The fingerprints of everything that the pipeline reads or writes, as it is now.
async fn current(
    graph: &Graph,
    states: &[StepState],
    fingerprints: &mut Fingerprints<'_>,
) -> Result<HashMap<ObjectRef, String>> {
    for record in states.iter().flat_map(|state| &state.statements) {
        record.inputs.iter().chain(&record.outputs).for_each(|object| fingerprints.remember(object));
    }
    let mut current = HashMap::new();
    for object in graph.nodes.iter().flat_map(|node| node.reads.iter().chain(&node.writes)) {
        if !current.contains_key(object) {
            current.insert(object.clone(), fingerprints.of(object).await?.fingerprint);
        }
    }
    Ok(current)
}

struct Simulation<'a> {
    graph: &'a Graph,
    current: &'a HashMap<ObjectRef, String>,
    /// The version of an object after the statements so far, where their records hold.
    expected: HashMap<ObjectRef, String>,
    /// Objects that the statements so far make anew.
    rewritten: HashSet<ObjectRef>,
    actions: Vec<Action>,
    /// Statements that must run again for the sake of later ones.
    again: BTreeMap<usize, Reason>,
}

fn simulate<'a>(
    graph: &'a Graph,
    states: &[StepState],
    current: &'a HashMap<ObjectRef, String>,
    again: &BTreeMap<usize, Reason>,
    selected: &[bool],
) -> Simulation<'a> {
    let (expected, rewritten) = (HashMap::new(), HashSet::new());
    let mut simulation =
        Simulation { graph, current, expected, rewritten, actions: Vec::new(), again: BTreeMap::new() };
    for (index, node) in graph.nodes.iter().enumerate() {
        let state = &states[node.step];
        let record = state.record(&node.key);
        let action = match again.get(&index) {
            _ if node.is_session() => Action::UpToDate,
            Some(reason) => Action::Run(reason.clone()),
            None => simulation.action(index, node, state, record),
        };
        match &action {
            Action::Run(_) => {
                if selected[node.step] {
                    simulation.rewritten.extend(node.writes.iter().cloned());
                    simulation.restore_inputs(index, node, again);
                }
            }
            Action::Record => {
                let now = node.writes.iter().filter_map(|object| Some((object.clone(), current.get(object)?.clone())));
                simulation.expected.extend(now);
            }
            Action::UpToDate => {
                let outputs = record.map(|record| record.outputs.as_slice()).unwrap_or_default();
                simulation.expected.extend(outputs.iter().map(|output| (output.object(), output.fingerprint.clone())));
            }
        }
        simulation.actions.push(action);
    }
    simulation
}

impl Simulation<'_> {
    fn action(&self, index: usize, node: &Node, state: &StepState, record: Option<&StatementRecord>) -> Action {
        let Some(record) = record else {
            return Action::Run(missing_record(node, state));
        };
        if !record.done {
            return if self.has_landed(node, record) { Action::Record } else { Action::Run(Reason::Interrupted) };
        }
        match self.changed_input(index, node, record).or_else(|| self.changed_output(index, node, record)) {
            Some(reason) => Action::Run(reason),
            None => Action::UpToDate,
        }
    }

    /// Whether an interrupted statement that must not run twice has made its commit: its output is exactly one
    /// version ahead of where it was.
    fn has_landed(&self, node: &Node, record: &StatementRecord) -> bool {
        !node.is_repeatable()
            && node.writes.iter().all(|object| {
                let before = record.output(object).map(|output| output.fingerprint.as_str());
                let now = self.current.get(object).map(String::as_str);
                matches!((before.and_then(version), now.and_then(version)),
                    (Some((before, place)), Some((now, same))) if now == before + 1 && place == same)
            })
    }

    fn changed_input(&self, index: usize, node: &Node, record: &StatementRecord) -> Option<Reason> {
        for object in &node.reads {
            let writer = self.graph.writer_before(object, index);
            // What a statement changes in place is compared as its output.
            if writer.is_none() && node.writes.contains(object) {
                continue;
            }
            if self.rewritten.contains(object) {
                return Some(Reason::Upstream(object.clone()));
            }
            let now = match writer {
                Some(_) => self.expected.get(object).or_else(|| self.current.get(object)),
                None => self.current.get(object),
            };
            let before = record.input(object).map(|input| &input.fingerprint);
            if before != now {
                return Some(Reason::NewInput(object.clone()));
            }
        }
        None
    }

    fn changed_output(&self, index: usize, node: &Node, record: &StatementRecord) -> Option<Reason> {
        for object in &node.writes {
            if self.rewritten.contains(object) {
                return Some(Reason::SharedOutput(object.clone()));
            }
            if !self.graph.is_last_writer(object, index) {
                continue;
            }
            let now = self.current.get(object).map_or(ABSENT, String::as_str);
            let before = record.output(object).map_or(ABSENT, |output| output.fingerprint.as_str());
            if now != before {
                let gone = now == ABSENT;
                return Some(if gone {
                    Reason::OutputMissing(object.clone())
                } else {
                    Reason::OutputChanged(object.clone())
                });
            }
        }
        None
    }

    /// A statement that runs finds each object as the writer before it left it; where later statements or
    /// other people have changed it since, all writers before it run again.
    fn restore_inputs(&mut self, index: usize, node: &Node, again: &BTreeMap<usize, Reason>) {
        for object in node.reads.iter().chain(&node.writes) {
            let Some(writer) = self.graph.writer_before(object, index) else { continue };
            if matches!(self.actions[writer], Action::Run(_)) || self.expected.get(object) == self.current.get(object) {
                continue;
            }
            // A statement that makes the object anew needs nothing of its earlier state.
            if node.writes.contains(object) && !node.reads.contains(object) && makes_anew(node) {
                continue;
            }
            let before = self.graph.writers(object).iter().filter(|writer| **writer < index);
            for writer in before.filter(|writer| !again.contains_key(writer)) {
                self.again.insert(*writer, Reason::SharedOutput(object.clone()));
            }
        }
    }
}

/// `CREATE OR REPLACE`: what was there before does not matter.
fn makes_anew(node: &Node) -> bool {
    node.label.starts_with("CREATE") && node.is_repeatable()
}

fn missing_record(node: &Node, state: &StepState) -> Reason {
    let wrote_the_same = |record: &StatementRecord| {
        if node.writes.is_empty() {
            record.outputs.is_empty()
        } else {
            node.writes.iter().any(|object| record.output(object).is_some())
        }
    };
    if state.statements.iter().any(wrote_the_same) { Reason::ChangedSql } else { Reason::NeverRan }
}

/// `12@abc` as version and place.
fn version(fingerprint: &str) -> Option<(u64, &str)> {
    let (version, place) = fingerprint.split_once('@')?;
    Some((version.parse().ok()?, place))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn reads_versions_of_tables_and_models_alone() {
        assert_eq!(version("12@abc"), Some((12, "abc")));
        assert_eq!(version("files:12"), None);
        assert_eq!(version("absent"), None);
    }
}
