//! What the physical operators over a model share: one input, read in as many partitions as there are cores, and
//! expressions over its columns.

use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};

/// The statistics of an operator that gives each row of its input once, with other columns.
pub(super) fn row_by_row(input: &Statistics, columns: Vec<ColumnStatistics>) -> Arc<Statistics> {
    let (num_rows, total_byte_size) = (input.num_rows, Precision::Absent);
    Arc::new(Statistics { num_rows, total_byte_size, column_statistics: columns })
}

/// The methods of `ExecutionPlan` that are the same in all of them, to stand within the `impl`. The operator has an
/// `input`, `properties` and `metrics`, and two methods: `over(input)`, itself over another input, and `expressions()`.
macro_rules! unary_operator {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn properties(&self) -> &Arc<PlanProperties> {
            &self.properties
        }

        fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
            vec![&self.input]
        }

        /// Prediction is work: more partitions are more cores.
        fn benefits_from_input_partitioning(&self) -> Vec<bool> {
            vec![true]
        }

        fn apply_expressions(
            &self,
            f: &mut dyn FnMut(
                &Arc<dyn PhysicalExpr>,
            ) -> datafusion::common::Result<datafusion::common::tree_node::TreeNodeRecursion>,
        ) -> datafusion::common::Result<datafusion::common::tree_node::TreeNodeRecursion> {
            use datafusion::common::tree_node::TreeNodeRecursion;
            for expr in self.expressions() {
                if f(expr)? == TreeNodeRecursion::Stop {
                    return Ok(TreeNodeRecursion::Stop);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        }

        fn replace_children(
            self: Arc<Self>,
            mut children: Vec<Arc<dyn ExecutionPlan>>,
            _: datafusion::physical_plan::ReplaceChildrenOptions,
        ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
            match (children.pop(), children.is_empty()) {
                (Some(input), true) => Ok(Arc::new(self.over(input)?)),
                _ => datafusion::common::internal_err!("{} has one child", $name),
            }
        }

        fn with_new_children(
            self: Arc<Self>,
            children: Vec<Arc<dyn ExecutionPlan>>,
        ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
            use datafusion::physical_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
            self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
        }

        fn metrics(&self) -> Option<MetricsSet> {
            Some(self.metrics.clone_inner())
        }
    };
}

pub(super) use unary_operator;
