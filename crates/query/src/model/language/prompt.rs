//! The prompts of a batch as texts.
//!
//! A prompt is a text, or a STRUCT whose fields are the lines of one: `name: value`, or the value alone where the field
//! has no name (`c0`, `c1`, ..). A field that is NULL has no line; a prompt without lines is NULL. The lines stand in the
//! order of the fields, or, where the settings allow it, with what varies least first, so that more of a prompt is
//! common to the next one and computed once.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{DataFusionError, Result};
use tokio::sync::OnceCell;

use super::Task;
use crate::Error;

/// The order of a STRUCT's lines by its fields' places: found from the first rows, kept for the whole statement.
pub(super) type LineOrder = OnceCell<Vec<usize>>;

/// The prompts as texts.
pub(super) async fn texts(prompts: &ArrayRef, task: &Task, order: &LineOrder) -> Result<StringArray> {
    if let Some(fields) = prompts.as_struct_opt() {
        let lines = lines(fields)?;
        let order = order
            .get_or_init(|| async {
                match task.reorders_fields() {
                    true => by_variety(&lines),
                    false => (0..lines.len()).collect(),
                }
            })
            .await;
        return Ok(joined(fields, &lines, order));
    }
    let texts = match prompts.data_type() {
        DataType::Utf8 => prompts.clone(),
        _ => cast(prompts, &DataType::Utf8)?,
    };
    match texts.as_string_opt::<i32>() {
        Some(texts) => Ok(texts.clone()),
        None => {
            let message = format!("prompts are {}, not texts", texts.data_type());
            Err(DataFusionError::External(Box::new(Error::internal(message))))
        }
    }
}

/// The lines of each field, by rows.
fn lines(fields: &StructArray) -> Result<Vec<Vec<Option<String>>>> {
    let format = FormatOptions::default();
    let of_field = |(place, name, column): (usize, &str, &ArrayRef)| {
        let label = if name == format!("c{place}") { String::new() } else { format!("{name}: ") };
        let values = ArrayFormatter::try_new(column.as_ref(), &format)?;
        let line = |row: usize| column.is_valid(row).then(|| format!("{label}{}", values.value(row)));
        Ok((0..fields.len()).map(line).collect())
    };
    let names = fields.column_names();
    let columns = names.into_iter().zip(fields.columns());
    columns.enumerate().map(|(place, (name, column))| of_field((place, name, column))).collect()
}

/// The fields with few different lines first; of those with as many, the longer first, since more of it is saved.
fn by_variety(lines: &[Vec<Option<String>>]) -> Vec<usize> {
    let key = |lines: &Vec<Option<String>>| {
        let different: HashSet<&Option<String>> = lines.iter().collect();
        let bytes: usize = lines.iter().flatten().map(String::len).sum();
        (different.len(), std::cmp::Reverse(bytes))
    };
    let keys: Vec<_> = lines.iter().map(key).collect();
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|place| keys[*place]);
    order
}

fn joined(fields: &StructArray, lines: &[Vec<Option<String>>], order: &[usize]) -> StringArray {
    let prompt = |row: usize| {
        let lines = order.iter().filter_map(|place| lines[*place][row].as_deref());
        let lines: Vec<&str> = lines.filter(|_| fields.is_valid(row)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    };
    (0..fields.len()).map(prompt).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, StringArray};
    use arrow::datatypes::{Field, Fields};

    use super::super::settings::Generation;
    use super::*;

    fn rows() -> ArrayRef {
        let field = |name: &str, kind: DataType| Field::new(name, kind, true);
        let fields = Fields::from(vec![
            field("id", DataType::Int32),
            field("c1", DataType::Utf8),
            field("city", DataType::Utf8),
            field("hotel", DataType::Utf8),
        ]);
        let text = |values: [Option<&str>; 4]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let columns = vec![
            Arc::new(Int32Array::from(vec![Some(1), Some(2), Some(3), None])) as ArrayRef,
            text([Some("Is it good?"), Some("Is it good?"), Some("Is it good?"), None]),
            text([Some("Rome"), Some("Bern"), Some("Rome"), None]),
            text([Some("Grand Hotel"), Some("Inn"), None, None]),
        ];
        Arc::new(StructArray::new(fields, columns, None))
    }

    async fn prompts(reorder_fields: bool) -> Vec<Option<String>> {
        let task = Task::Text(Generation { reorder_fields, ..Generation::default() });
        let texts = texts(&rows(), &task, &LineOrder::new()).await.unwrap();
        texts.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[tokio::test]
    async fn fields_are_lines_in_their_order() {
        let first = "id: 1\nIs it good?\ncity: Rome\nhotel: Grand Hotel";
        let expected = [
            Some(first),
            Some("id: 2\nIs it good?\ncity: Bern\nhotel: Inn"),
            Some("id: 3\nIs it good?\ncity: Rome"),
            None,
        ];
        assert_eq!(prompts(false).await, expected.map(|text| text.map(str::to_owned)));
    }

    #[tokio::test]
    async fn what_varies_least_comes_first() {
        let prompts = prompts(true).await;
        assert_eq!(prompts[0].as_deref(), Some("Is it good?\ncity: Rome\nhotel: Grand Hotel\nid: 1"));
        assert_eq!(prompts[2].as_deref(), Some("Is it good?\ncity: Rome\nid: 3"));
    }

    #[tokio::test]
    async fn later_rows_keep_the_order_of_the_first() {
        let task = Task::Text(Generation { reorder_fields: true, ..Generation::default() });
        let order = LineOrder::new_with(Some(vec![3, 2, 1, 0]));
        let texts = texts(&rows(), &task, &order).await.unwrap();
        assert_eq!(texts.value(0), "hotel: Grand Hotel\ncity: Rome\nIs it good?\nid: 1");
    }
}
