//! What the server is and can, and the types that its SQL has.

use std::sync::LazyLock;

use arrow_flight::sql::metadata::{
    SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    Nullable, Searchable, SqlInfo, SqlNullOrdering, SqlSupportedCaseSensitivity, SqlSupportedTransaction, XdbcDataType,
    XdbcDatetimeSubcode,
};

use super::prepared::IDLE_MAX;
use crate::error::{Error, Result};

/// The answers of GetSqlInfo.
///
/// # Errors
/// Internal: they cannot be written down.
pub(super) fn server() -> Result<&'static SqlInfoData> {
    static INFO: LazyLock<Option<SqlInfoData>> = LazyLock::new(|| {
        let mut info = SqlInfoDataBuilder::new();
        info.append(SqlInfo::FlightSqlServerName, "Lakemill");
        info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
        info.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
        info.append(SqlInfo::FlightSqlServerReadOnly, false);
        info.append(SqlInfo::FlightSqlServerSql, true);
        info.append(SqlInfo::FlightSqlServerSubstrait, false);
        info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
        info.append(SqlInfo::FlightSqlServerCancel, true);
        info.append(SqlInfo::FlightSqlServerBulkIngestion, true);
        info.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
        let idle_ms = i32::try_from(IDLE_MAX.as_millis()).unwrap_or(i32::MAX);
        info.append(SqlInfo::FlightSqlServerStatementTimeout, idle_ms);
        info.append(SqlInfo::SqlDdlCatalog, false);
        info.append(SqlInfo::SqlDdlSchema, true);
        info.append(SqlInfo::SqlDdlTable, true);
        info.append(SqlInfo::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32);
        info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
        let exact = SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32;
        info.append(SqlInfo::SqlQuotedIdentifierCase, exact);
        info.append(SqlInfo::SqlAllTablesAreSelectable, true);
        info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
        info.append(SqlInfo::SqlSupportsColumnAliasing, true);
        info.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
        info.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
        info.append(SqlInfo::SqlSupportsLikeEscapeClause, true);
        info.append(SqlInfo::SqlSupportsNonNullableColumns, true);
        info.append(SqlInfo::SqlSchemaTerm, "namespace");
        info.append(SqlInfo::SqlCatalogTerm, "lake");
        info.append(SqlInfo::SqlCatalogAtStart, true);
        info.append(SqlInfo::SqlSelectForUpdateSupported, false);
        info.append(SqlInfo::SqlStoredProceduresSupported, false);
        info.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
        info.build().ok()
    });
    INFO.as_ref().ok_or_else(|| Error::internal("what the server can cannot be written down"))
}

/// The answers of GetXdbcTypeInfo.
///
/// # Errors
/// Internal: they cannot be written down.
pub(super) fn types() -> Result<&'static XdbcTypeInfoData> {
    static TYPES: LazyLock<Option<XdbcTypeInfoData>> = LazyLock::new(|| {
        let mut types = XdbcTypeInfoDataBuilder::new();
        all_types().into_iter().for_each(|info| types.append(info));
        types.build().ok()
    });
    TYPES.as_ref().ok_or_else(|| Error::internal("the types cannot be written down"))
}

/// The types of columns, by the names that CREATE TABLE takes.
fn all_types() -> Vec<XdbcTypeInfo> {
    let number = |name, data_type, digits| XdbcTypeInfo {
        column_size: Some(digits),
        unsigned_attribute: Some(false),
        num_prec_radix: Some(10),
        ..plain(name, data_type)
    };
    let decimal = XdbcTypeInfo {
        create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
        minimum_scale: Some(0),
        maximum_scale: Some(38),
        fixed_prec_scale: true,
        ..number("DECIMAL", XdbcDataType::XdbcDecimal, 38)
    };
    let text = XdbcTypeInfo { case_sensitive: true, ..literal("VARCHAR", XdbcDataType::XdbcVarchar, "'") };
    let time = |name, data_type, subcode| XdbcTypeInfo {
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(subcode),
        ..literal(name, data_type, "'")
    };
    vec![
        plain("BOOLEAN", XdbcDataType::XdbcBit),
        number("TINYINT", XdbcDataType::XdbcTinyint, 3),
        number("SMALLINT", XdbcDataType::XdbcSmallint, 5),
        number("INT", XdbcDataType::XdbcInteger, 10),
        number("BIGINT", XdbcDataType::XdbcBigint, 19),
        number("FLOAT", XdbcDataType::XdbcReal, 7),
        number("DOUBLE", XdbcDataType::XdbcDouble, 15),
        decimal,
        text,
        literal("BYTEA", XdbcDataType::XdbcVarbinary, "X'"),
        time("DATE", XdbcDataType::XdbcDate, XdbcDatetimeSubcode::XdbcSubcodeYear),
        time("TIMESTAMP", XdbcDataType::XdbcTimestamp, XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
    ]
}

fn plain(name: &str, data_type: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        sql_data_type: data_type,
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        ..XdbcTypeInfo::default()
    }
}

fn literal(name: &str, data_type: XdbcDataType, prefix: &str) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..plain(name, data_type)
    }
}
