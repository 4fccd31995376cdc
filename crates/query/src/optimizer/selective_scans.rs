//! Filters that leave few rows are evaluated while Parquet is decoded.
//!
//! A decoder that is given a filter decodes the filter's columns first, and of the others only the rows that are left. That
//! pays where these are few; where they are many, here and there in each page, it costs more than decoding all of them and
//! filtering afterwards. DataFusion has one setting for all scans. Here the bounds of a table's columns tell how many rows a
//! filter leaves, scan by scan. Row groups and pages are skipped by their bounds either way.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

/// The share of rows at which decoding only what is left pays: with one row in a hundred, most are skipped by the run.
const SHARE_MAX: f64 = 0.01;

/// See the module. It comes before the rule that pushes filters into scans.
#[derive(Debug)]
pub(super) struct SelectiveScans;

impl PhysicalOptimizerRule for SelectiveScans {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if config.execution.parquet.pushdown_filters {
            return Ok(plan);
        }
        let transformed = plan.transform_up(|plan| match with_selective_scan(&plan)? {
            Some(plan) => Ok(Transformed::yes(plan)),
            None => Ok(Transformed::no(plan)),
        });
        transformed.map(|transformed| transformed.data)
    }

    fn name(&self) -> &'static str {
        "selective_scans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A filter that leaves few rows of a Parquet scan, over a scan that takes filters.
fn with_selective_scan(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(None) };
    let Some(scan) = filter.input().downcast_ref::<DataSourceExec>() else { return Ok(None) };
    let Some((files, source)) = scan.downcast_to_file_source::<ParquetSource>() else { return Ok(None) };
    let (Some(left), Some(all)) = (rows(plan)?, rows(filter.input())?) else { return Ok(None) };
    if left as f64 > all as f64 * SHARE_MAX {
        return Ok(None);
    }
    let source = source.clone().with_pushdown_filters(true);
    let files = FileScanConfigBuilder::from(files.clone()).with_source(Arc::new(source)).build();
    let scan = DataSourceExec::from_data_source(files);
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Ok(Some(Arc::clone(plan).replace_children(vec![scan], options)?))
}

/// How many rows an operator gives, as far as that is known.
fn rows(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<usize>> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new())?;
    Ok(statistics.num_rows.get_value().copied())
}
