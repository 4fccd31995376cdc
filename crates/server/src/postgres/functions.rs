//! Functions that clients of PostgreSQL call while they look around, beside those that `datafusion-pg-catalog` has.
//!
//! A lake has no serial columns, comments or operator classes: what asks for them is answered with NULL, as PostgreSQL
//! answers for a table that has none.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, create_udf,
};
use datafusion::prelude::SessionContext;
use lakemill_base::text_literal;
use lakemill_query::Session;

use super::own::{self, SERVER_VERSION};

/// What a function answers, whatever it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    True,
    False,
    NoText,
    NoOid,
    NoNumber,
    /// The value of a setting, whose name is given.
    Setting,
    /// What it is given second.
    Second,
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
pub(super) const NOBODY: &str = "postgres";

/// `session_user`, and so `current_user`: who has logged in.
pub(super) fn session_user(session: Session) -> ScalarUDF {
    let user = move |_: &[ColumnarValue]| {
        let principal = session.principal().ok().flatten();
        let user = principal.map_or(NOBODY, |principal| principal.user.as_str());
        Ok(ColumnarValue::Scalar(ScalarValue::from(user)))
    };
    create_udf("session_user", Vec::new(), DataType::Utf8, Volatility::Stable, Arc::new(user))
}

/// `quote_literal`: a text as it is written in SQL. The library has `quote_ident`.
fn quote_literal() -> ScalarUDF {
    let each = |arguments: &[ColumnarValue]| {
        let [texts] = arguments else { return exec_err!("quote_literal takes one argument") };
        let texts = texts.to_array(1)?;
        let texts: StringArray = texts.as_string::<i32>().iter().map(|text| text.map(text_literal)).collect();
        Ok(ColumnarValue::Array(Arc::new(texts)))
    };
    create_udf("quote_literal", vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(each))
}

/// Makes them known.
pub(super) fn register(context: &SessionContext) {
    context.register_udf(quote_literal());
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
        "json_build_object",
    ];
    let functions = [
        // Connection pools call it when they take a connection back.
        ("pg_advisory_unlock_all", Answer::Text(String::new())),
        ("version", Answer::Text(format!("PostgreSQL {SERVER_VERSION}"))),
        ("current_schema", Answer::Schema),
        ("current_schemas", Answer::Schemas),
        ("pg_is_other_temp_schema", Answer::False),
        ("to_regtype", Answer::NoOid),
        ("to_regclass", Answer::NoOid),
        ("pg_my_temp_schema", Answer::NoOid),
        ("generate_subscripts", Answer::NoOid),
        ("pg_table_size", Answer::NoNumber),
        ("pg_indexes_size", Answer::NoNumber),
        ("pg_database_size", Answer::NoNumber),
        ("current_setting", Answer::Setting),
        ("set_config", Answer::Second),
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

fn text(argument: Option<&ColumnarValue>) -> Option<String> {
    match argument {
        Some(ColumnarValue::Scalar(value)) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
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
            Answer::True | Answer::False => DataType::Boolean,
            Answer::NoOid => DataType::Int32,
            Answer::NoNumber => DataType::Int64,
            Answer::NoText | Answer::Text(_) | Answer::Schema | Answer::Setting | Answer::Second => DataType::Utf8,
            Answer::Schemas => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let namespace = &args.config_options.catalog.default_schema;
        let value = match &self.answer {
            Answer::True => ScalarValue::from(true),
            Answer::False => ScalarValue::from(false),
            Answer::NoOid => ScalarValue::Int32(None),
            Answer::NoNumber => ScalarValue::Int64(None),
            Answer::NoText => ScalarValue::Utf8(None),
            Answer::Setting => ScalarValue::Utf8(text(args.args.first()).and_then(|name| {
                own::SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })),
            Answer::Second => ScalarValue::Utf8(text(args.args.get(1))),
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
