//! Types: what a column of a table becomes, what a raw file's values are taken for.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::TableProvider;
use lakemill_lake::{At, WriteMode, sql_type};

use crate::support::TestLake;

fn create() -> WriteMode {
    WriteMode::Create { or_replace: false, if_not_exists: false, partition_by: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_widen_what_delta_lacks() {
    let lake = TestLake::new().await;
    lake.create(
        "t",
        "SELECT arrow_cast(1, 'UInt32') AS a, arrow_cast(1, 'UInt64') AS b, arrow_cast('x', 'Dictionary(Int8, Utf8View)') AS c,
           arrow_cast('2013-01-01T00:00:00', 'Timestamp(Nanosecond, None)') AS d",
    )
    .await;
    let schema = lake.table("t", At::Latest).await.schema();
    let types: Vec<String> = schema.fields().iter().map(|field| sql_type(field.data_type())).collect();
    assert_eq!(types, ["BIGINT", "DECIMAL(20, 0)", "VARCHAR", "TIMESTAMP"]);
    assert_eq!(schema.field(3).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
    let rows = lake.rows("SELECT * FROM t", &["t"]).await;
    assert_eq!(rows, "a b c d\n1 1 x 2013-01-01T00:00:00");
    let error =
        lake.write("u", create(), "SELECT arrow_cast('05:00:00', 'Time64(Microsecond)') AS a").await.unwrap_err();
    assert!(error.to_string().contains("'a'"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_differ_in_case_alone_are_refused() {
    let lake = TestLake::new().await;
    let error = lake.write("t", create(), "SELECT 1 AS a, 2 AS \"A\"").await.unwrap_err();
    assert_eq!(error.to_string(), "columns 'a' and 'A' differ only in case; rename one of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_values_are_taken_for_the_narrowest_type() {
    let lake = TestLake::new().await;
    let text = "i,f,b,d,t,z,s,e\n\
                1,1,true,2013-01-01,2013-01-01 05:00:00,2013-01-01T05:00:00Z,1,\n\
                -2,2.5,FALSE,2013-01-02,2013-01-02 05:00:00,2013-01-02T05:00:00Z,x,\n \
                3,1e3,true,2013-01-03,2013-01-03 05:00:00,2013-01-03T05:00:00Z,2,\n\
                4,NaN,false,2013-01-04,2013-01-04 05:00:00,2013-01-04T05:00:00Z,3,\n";
    let path = lake.file("a.csv", text);
    lake.raw(&path, &[], "SELECT * FROM raw").await.unwrap();
    let schema = lake.context.table_provider("raw").await.unwrap().schema();
    let types: Vec<String> = schema.fields().iter().map(|field| sql_type(field.data_type())).collect();
    let expected =
        ["BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "VARCHAR", "VARCHAR"];
    assert_eq!(types, expected);
}

#[test]
fn types_read_as_sql_writes_them() {
    let list = DataType::new_list(DataType::Int64, true);
    let fields = vec![arrow::datatypes::Field::new("Odd name", list, true)];
    assert_eq!(sql_type(&DataType::Struct(fields.into())), "STRUCT<\"Odd name\" ARRAY<BIGINT>>");
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Float32));
    assert_eq!(sql_type(&dictionary), "FLOAT");
    assert_eq!(sql_type(&DataType::Decimal128(10, 2)), "DECIMAL(10, 2)");
}
