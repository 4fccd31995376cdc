//! Which index a search may use, and the plan with it.
//!
//! An index serves a search whose base is a table as it lies: columns may be chosen and renamed, but no row left out, since what
//! is nearest among all rows says little about what is nearest among some.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use lakemill_lake::{IndexableFile, Lake, LakeTable, VectorIndex};
use object_store::path::Path;
use url::Position;

use super::files::{files_of, read};
use super::{Definition, EF_SEARCH, IndexUse, Indexes, SegmentUse};
use crate::Error;
use crate::model::search::{Search, SearchNode};

/// How an index is used.
#[derive(Debug)]
pub(in crate::model::search) struct Chosen {
    pub(in crate::model::search) index: IndexUse,
    /// The data files that have no segment.
    pub(in crate::model::search) rest: Arc<dyn ExecutionPlan>,
    /// Those that have one; what is read of them is known when the search has run.
    pub(in crate::model::search) indexed: Arc<dyn ExecutionPlan>,
}

/// The index that a search uses, if there is one. `base` is the plan of its base.
pub(in crate::model::search) async fn choose(
    node: &SearchNode,
    base: &Arc<dyn ExecutionPlan>,
    session: &dyn Session,
) -> Result<Option<Chosen>> {
    let search = node.search();
    let Some(indexes) = session.config_options().extensions.get::<Indexes>() else { return Ok(None) };
    let Some((provider, column)) = column_of(node.base(), search.base_column) else { return Ok(None) };
    let (Some(table), Some(files)) = (provider.downcast_ref::<LakeTable>(), files_of(base)) else { return Ok(None) };
    if search.brute_force || files.is_empty() {
        return Ok(None);
    }
    let found = find(&indexes.lake, table, &column, search).await.map_err(external)?;
    let Some((index, indexable)) = found else { return Ok(None) };
    let root = indexes.lake.root_url();
    let folder = Path::from_url_path(root.path()).map_err(|error| external(Error::internal(error.to_string())))?;
    let segment = |file: &IndexableFile| SegmentUse {
        path: folder.parts().chain(index.segment(&file.segment).parts()).collect::<Path>().as_ref().to_owned(),
        file: file.path.as_ref().to_owned(),
        rows: file.rows,
    };
    let segments: Vec<SegmentUse> = indexable.iter().map(segment).collect();
    let with_segment: HashSet<&str> = segments.iter().map(|segment| segment.file.as_str()).collect();
    let (indexed, rest): (Vec<PartitionedFile>, Vec<PartitionedFile>) =
        files.into_iter().partition(|file| with_segment.contains(file.object_meta.location.as_ref()));
    let rows = rows_of(table).map_err(external)?;
    let rows_exact = rest.iter().filter_map(|file| rows.get(&file.object_meta.location)).sum();
    let partitions = session.config().target_partitions();
    let files_exact = rest.len();
    Ok(Some(Chosen {
        rest: read(base, rest, partitions, None)?,
        indexed: read(base, indexed, partitions, Some(search.top_k))?,
        index: IndexUse {
            name: index.name,
            breadth: search.breadth.unwrap_or(EF_SEARCH),
            store: root[..Position::BeforePath].to_owned(),
            segments,
            files_exact,
            rows_exact,
        },
    }))
}

/// The table that a plan reads as it lies, and the column of the table that one of the plan is.
fn column_of(plan: &LogicalPlan, column: usize) -> Option<(Arc<dyn datafusion::catalog::TableProvider>, String)> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => column_of(&alias.input, column),
        LogicalPlan::Projection(projection) => {
            let Expr::Column(of_input) = projection.expr.get(column)?.clone().unalias_nested().data else {
                return None;
            };
            column_of(&projection.input, projection.input.schema().maybe_index_of_column(&of_input)?)
        }
        LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => {
            let provider = source_as_provider(&scan.source).ok()?;
            Some((provider, scan.projected_schema.fields().get(column)?.name().clone()))
        }
        _ => None,
    }
}

/// The table's index over a column by the search's distance, and the data files that have a segment of it.
async fn find(
    lake: &Lake,
    table: &LakeTable,
    column: &str,
    search: &Search,
) -> crate::Result<Option<(VectorIndex, Vec<IndexableFile>)>> {
    let fits = |index: &VectorIndex| {
        let definition = serde_json::from_value::<Definition>(index.definition.clone());
        index.column == column && definition.is_ok_and(|definition| definition.distance == search.distance)
    };
    let Some(index) = lake.indexes_of(table).await?.into_iter().find(fits) else { return Ok(None) };
    let Some(mut files) = table.indexable_files()? else { return Ok(None) };
    let segments = lake.segments_of(&index).await?;
    files.retain(|file| segments.contains(&file.segment));
    Ok((!files.is_empty()).then_some((index, files)))
}

fn rows_of(table: &LakeTable) -> crate::Result<HashMap<Path, usize>> {
    let files = table.indexable_files()?.unwrap_or_default();
    Ok(files.into_iter().map(|file| (file.path, file.rows)).collect())
}

fn external(error: impl Into<Error>) -> datafusion::common::DataFusionError {
    datafusion::common::DataFusionError::External(Box::new(error.into()))
}
