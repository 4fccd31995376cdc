//! Plans with models as bytes and back.

use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{ModelCodec, Session, SessionOptions};

const SCRIPT: &str = "
    CREATE TABLE t AS SELECT value AS x, CASE value % 2 WHEN 0 THEN 'a' ELSE 'b' END AS k, value % 10 > 4 AS label
    FROM generate_series(1, 600);
    CREATE MODEL m TRANSFORM (ML.STANDARD_SCALER(x % 10) OVER () AS s, k, label)
    OPTIONS (model_type = 'LOGISTIC_REG') AS SELECT x, k, label FROM t;";

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_models_comes_back_as_it_was() {
    let folder = tempfile::TempDir::new().unwrap();
    let lake = Lake::open(LakeOptions::new(folder.path().to_str().unwrap())).await.unwrap();
    let session = Session::open(lake, SessionOptions::default()).unwrap();
    session.sql(SCRIPT).await.unwrap();
    for sql in [
        "SELECT x, predicted_label FROM ML.PREDICT(MODEL m, TABLE t, STRUCT(0.4 AS threshold)) ORDER BY x",
        "SELECT x, predicted_label_probs FROM ML.PREDICT(MODEL m, TABLE t) ORDER BY x",
        "SELECT * FROM ML.EVALUATE(MODEL m, TABLE t)",
        "SELECT * FROM ML.ROC_CURVE(MODEL m, TABLE t, STRUCT([0.2, 0.6] AS thresholds))",
        "SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL m, TABLE t)",
        "SELECT * FROM ML.VALIDATE_DATA_DRIFT(TABLE t, (SELECT * FROM t WHERE x > 300))",
        "SELECT ML.BUCKETIZE(x, [5, 9]) AS bucket FROM t ORDER BY x",
    ] {
        let (there, task) = session.plan(&session.parse(sql).unwrap()[0]).await.unwrap();
        let codec = ModelCodec::default();
        let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(&there), &codec).unwrap();
        let back = physical_plan_from_bytes_with_extension_codec(&bytes, &task, &codec).unwrap();
        // DataFusion's codec of file scans leaves out a hint: the order that row groups are best read in.
        let without_hint = |line: &str| line.split(", sort_order_for_reorder=").next().unwrap().to_owned();
        let text = |plan: &Arc<dyn ExecutionPlan>| {
            let shown = displayable(plan.as_ref()).indent(true).to_string();
            shown.lines().map(without_hint).collect::<Vec<String>>().join("\n")
        };
        assert_eq!(text(&there), text(&back), "{sql}");
        let here = collect(there, Arc::clone(&task)).await.unwrap();
        let again = collect(back, task).await.unwrap();
        let rows = |batches| pretty_format_batches(batches).unwrap().to_string();
        assert_eq!(rows(&here), rows(&again), "{sql}");
    }
    let change = session.parse("DROP TABLE t").unwrap().remove(0);
    let error = session.plan(&change).await.unwrap_err();
    assert_eq!(error.message(), "only a query has a plan to hand out; execute this statement instead");
}
