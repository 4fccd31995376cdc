//! Functions that clients of PostgreSQL call while they look around, beside those that `datafusion-pg-catalog` has.
//!
//! A lake has no serial columns, comments or operator classes: what asks for them is answered with NULL, as PostgreSQL
//! answers for a table that has none.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, create_udf,
};
use datafusion::prelude::SessionContext;
use lakemill_query::Session;

use super::own::SERVER_VERSION;

/// What a function answers, whatever it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    True,
    NoText,
    NoOid,
    Text(String),
    /// The namespace of names that give none.
    Schema,
    /// All namespaces that names without one are looked up in.
    Schemas,
}

/// A function of any arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    answer: Answer,
    signature: Signature,
}

/// What `session_user` is where nobody is asked.
const NOBODY: &str = "postgres";

/// `session_user`, and so `current_user`: who has logged in.
pub(super) fn session_user(session: Session) -> ScalarUDF {
    let user = move |_: &[ColumnarValue]| {
        let principal = session.principal().ok().flatten();
        let user = principal.map_or(NOBODY, |principal| principal.user.as_str());
        Ok(ColumnarValue::Scalar(ScalarValue::from(user)))
    };
    create_udf("session_user", Vec::new(), DataType::Utf8, Volatility::Stable, Arc::new(user))
}

/// Makes them known.
pub(super) fn register(context: &SessionContext) {
    let visible = [
        "pg_function_is_visible",
        "pg_type_is_visible",
        "pg_operator_is_visible",
        "pg_opclass_is_visible",
        "pg_collation_is_visible",
        "pg_ts_config_is_visible",
        "has_column_privilege",
        "has_function_privilege",
        "has_sequence_privilege",
    ];
    let no_text = [
        "col_description",
        "obj_description",
        "shobj_description",
        "pg_get_serial_sequence",
        "pg_get_function_result",
        "pg_get_function_arguments",
        "pg_get_function_identity_arguments",
        "pg_get_indexdef",
        "pg_get_viewdef",
        "pg_get_ruledef",
        "pg_get_triggerdef",
        "pg_get_functiondef",
        "pg_tablespace_location",
        "pg_size_pretty",
    ];
    let functions = [
        // Connection pools call it when they take a connection back.
        ("pg_advisory_unlock_all", Answer::Text(String::new())),
        ("version", Answer::Text(format!("PostgreSQL {SERVER_VERSION}"))),
        ("current_schema", Answer::Schema),
        ("current_schemas", Answer::Schemas),
        ("to_regtype", Answer::NoOid),
        ("to_regclass", Answer::NoOid),
    ];
    let visible = visible.into_iter().map(|name| (name, Answer::True));
    let no_text = no_text.into_iter().map(|name| (name, Answer::NoText));
    for (name, answer) in visible.chain(no_text).chain(functions) {
        let signature = Signature::one_of(
            vec![
                datafusion::logical_expr::TypeSignature::Nullary,
                datafusion::logical_expr::TypeSignature::VariadicAny,
            ],
            Volatility::Stable,
        );
        context.register_udf(ScalarUDF::new_from_impl(Constant { name, answer, signature }));
    }
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.answer {
            Answer::True => DataType::Boolean,
            Answer::NoOid => DataType::Int32,
            Answer::NoText | Answer::Text(_) | Answer::Schema => DataType::Utf8,
            Answer::Schemas => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let namespace = &args.config_options.catalog.default_schema;
        let value = match &self.answer {
            Answer::True => ScalarValue::from(true),
            Answer::NoOid => ScalarValue::Int32(None),
            Answer::NoText => ScalarValue::Utf8(None),
            Answer::Text(text) => ScalarValue::from(text.as_str()),
            Answer::Schema => ScalarValue::from(namespace.as_str()),
            Answer::Schemas => {
                let implicit =
                    matches!(args.args.first(), Some(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))));
                let mut names = ListBuilder::new(StringBuilder::new());
                if implicit {
                    names.values().append_value("pg_catalog");
                }
                names.values().append_value(namespace);
                names.append(true);
                let names: ArrayRef = Arc::new(names.finish());
                ScalarValue::try_from_array(&names, 0)?
            }
        };
        Ok(ColumnarValue::Scalar(value))
    }
}
