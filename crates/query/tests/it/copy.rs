//! COPY: what other programs find in the files.

use std::fs::File;

use arrow::datatypes::DataType;
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{Session, SessionOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_bytes_have_the_types_that_every_reader_knows() {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(LakeOptions::new(folder.path().join("lake").to_str().unwrap())).await.unwrap();
    let session = Session::open(lake, SessionOptions::default()).unwrap();
    session.sql("CREATE TABLE t AS SELECT 1 AS n, 'a' AS text, arrow_cast('b', 'BinaryView') AS bytes").await.unwrap();
    for (name, query) in [("table", "t"), ("query", "(SELECT a.*, 'x' AS \"Odd Name\" FROM t a JOIN t b USING (n))")] {
        let path = folder.path().join(format!("{name}.parquet"));
        session.sql(&format!("COPY {query} TO '{}'", path.display())).await.unwrap();
        let file = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let types: Vec<&DataType> = file.schema().fields().iter().map(|field| field.data_type()).collect();
        assert_eq!(types[..3], [&DataType::Int64, &DataType::Utf8, &DataType::Binary], "{name}");
    }
}
