//! The hooks by which our grammar differs from sqlparser's generic one.

use std::any::TypeId;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, GenericDialect};
use sqlparser::parser::{Parser, ParserError};

use crate::model;

/// PostgreSQL-like SQL with the parts of BigQuery's and Delta's that a lake with models needs.
#[derive(Debug, Default)]
pub(crate) struct LakemillDialect;

/// Answers as the generic dialect does for each named feature.
macro_rules! as_generic {
    ($($feature:ident),* $(,)?) => {
        $(fn $feature(&self) -> bool { GenericDialect.$feature() })*
    };
}

/// Turns each named feature on, whatever the generic dialect says.
macro_rules! switched_on {
    ($($feature:ident),* $(,)?) => {
        $(fn $feature(&self) -> bool { true })*
    };
}

impl Dialect for LakemillDialect {
    /// sqlparser asks "is this the generic dialect?" in many places; it is, but for the hooks below.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    as_generic! {
        supports_unicode_string_literal, supports_partition_by_after_order_by, supports_array_join_syntax,
        supports_group_by_expr, supports_group_by_with_modifier, supports_left_associative_joins_without_parens,
        supports_pipe_operator, supports_start_transaction_modifier, supports_window_function_null_treatment_arg,
        supports_dictionary_syntax, supports_window_clause_named_window_reference,
        supports_parenthesized_set_variables, supports_select_wildcard_except, support_map_literal_syntax,
        allow_extract_custom, allow_extract_single_quotes, supports_extract_comma_syntax,
        supports_create_view_comment_syntax, supports_parens_around_table_factor,
        supports_values_as_table_factor, supports_create_index_with_clause,
        supports_explain_with_utility_options, supports_limit_comma, supports_from_first_select,
        supports_projection_trailing_commas, supports_asc_desc_in_column_definition, supports_try_convert,
        supports_bitwise_shift_operators, supports_comment_on, supports_named_fn_args_with_assignment_operator,
        supports_struct_literal, supports_empty_projections, supports_nested_comments,
        supports_user_host_grantee, supports_string_escape_constant, supports_array_typedef_with_brackets,
        supports_set_names, supports_comma_separated_set_assignments, supports_filter_during_aggregation,
        supports_select_wildcard_exclude, supports_data_type_signed_suffix, supports_interval_options,
        supports_select_wildcard_replace, supports_select_wildcard_ilike, supports_select_wildcard_rename,
        supports_constraint_keyword_without_name, supports_key_column_option, supports_comma_separated_trim,
        supports_cte_without_as, supports_select_item_multi_column_alias, supports_update_order_by,
    }

    switched_on! {
        supports_table_versioning, supports_order_by_all, supports_boolean_literals, supports_lambda_functions,
    }

    /// `MODEL name` and `TABLE name` as the arguments of a relation such as `ML.PREDICT(MODEL m, TABLE t)`.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        model::parse_prefix(parser)
    }
}
