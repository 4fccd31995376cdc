//! The report of a real run.

use lakemill_pipeline::{RunOptions, report};

use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_shows_models_and_escapes_names() {
    let fixture = Fixture::new(&[
        (
            "01_data.sql",
            "CREATE OR REPLACE TABLE \"a&b\" AS
             SELECT value AS id, value % 17 AS x, (value * 7919) % 101 AS noise,
                    value % 17 + (value * 7919) % 101 / 20 > 10 AS late
             FROM generate_series(1, 2000);
             -- <script>alert(1)</script>
             SELECT '<img src=x onerror=alert(1)>' AS cell;",
        ),
        (
            "02_train.sql",
            "CREATE OR REPLACE MODEL straight OPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['late'])
             AS SELECT x, noise, late FROM \"a&b\";
             CREATE OR REPLACE MODEL trees OPTIONS (model_type = 'BOOSTED_TREE_CLASSIFIER', input_label_cols = ['late'])
             AS SELECT x, noise, late FROM \"a&b\";",
        ),
        (
            "pipeline.toml",
            "name = 'p'\ntitle = 'A <b>bold</b> title'\n[report]\nevaluation = 'SELECT x, noise, late FROM \"a&b\"'\n\
             [[report.chart]]\ntitle = 'By x'\nkind = 'column'\nquery = 'SELECT x, count(*) AS n FROM \"a&b\" GROUP BY x ORDER BY x'\n\
             [[report.chart]]\ntitle = 'Broken'\nkind = 'bar'\nquery = 'SELECT nothing FROM nowhere'\n\
             [[report.chart]]\ntitle = 'Harmful'\nkind = 'bar'\nquery = 'DROP TABLE \"a&b\"'\n",
        ),
    ])
    .await;
    let summary = fixture.summary(&RunOptions::default()).await;
    assert!(summary.is_finished(), "{:?}", summary.outcome);
    assert_eq!(summary.models.len(), 2);
    let pipeline = fixture.pipeline();
    let path = report::write(&fixture.session, &pipeline, &fixture.dir.path().join("r/report.html")).await.unwrap();
    let html = std::fs::read_to_string(path).unwrap();
    for part in ["ROC curves", "Calibration", "Loss of trees", "What trees looks at", "Weights of straight", "By x"] {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains("A &lt;b&gt;bold&lt;/b&gt; title") && html.contains("a&amp;b"));
    assert!(html.contains("chart &#39;Broken&#39;") && html.contains("a report only reads"));
    for harm in ["<script", "<img", "<b>bold", "http://", "https://"] {
        assert!(!html.contains(harm), "{harm}");
    }
    assert_eq!(fixture.number("SELECT count(*) FROM \"a&b\"").await, "2000");
}
