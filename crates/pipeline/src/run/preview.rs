//! The first rows of a query as text.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::{Stream, StreamExt};
use lakemill_base::ErrorKind;
use lakemill_query::{Error, Result};

use crate::state::Preview;

/// More rows than this are for a table, not for a look.
const ROWS_MAX: usize = 50;

/// Longer cells are cut.
const CELL_CHARS_MAX: usize = 200;

/// Reads the first rows; the query stops there.
pub(crate) async fn read<S, E>(rows: S, title: String) -> Result<Preview>
where
    S: Stream<Item = std::result::Result<RecordBatch, E>> + Send,
    Error: From<E>,
{
    let mut preview = Preview { title, ..Preview::default() };
    let mut rows = std::pin::pin!(rows);
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if preview.columns.is_empty() {
            for field in batch.schema().fields() {
                preview.columns.push(field.name().clone());
                preview.numeric.push(field.data_type().is_numeric());
            }
        }
        let take = batch.num_rows().min(ROWS_MAX - preview.rows.len());
        add(&mut preview, &batch.slice(0, take))?;
        if take < batch.num_rows() {
            preview.more = true;
            break;
        }
    }
    Ok(preview)
}

fn add(preview: &mut Preview, batch: &RecordBatch) -> Result<()> {
    let options = FormatOptions::default();
    let internal = |error: arrow::error::ArrowError| Error::new(ErrorKind::Internal, error.to_string());
    let formatters = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).map_err(internal))
        .collect::<Result<Vec<_>>>()?;
    for row in 0..batch.num_rows() {
        let mut cells = Vec::with_capacity(formatters.len());
        for (column, formatter) in batch.columns().iter().zip(&formatters) {
            let text = (!column.is_null(row)).then(|| cut(formatter.value(row).to_string()));
            cells.push(text);
        }
        preview.rows.push(cells);
    }
    Ok(())
}

fn cut(text: String) -> String {
    if text.chars().count() <= CELL_CHARS_MAX {
        text
    } else {
        text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
    }
}
