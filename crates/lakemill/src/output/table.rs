//! `--format table`: a box fitted to the terminal.
//!
//! A long result shows its head and its tail with the number of rows between them; a wide one shortens its long
//! cells first, and then leaves out columns from its middle. What is left out is said in the footer.

use std::collections::VecDeque;
use std::io::Write;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::writer::EncoderOptions;
use console::{Style as Paint, measure_text_width, truncate_str};
use lakemill_lake::sql_type;

use super::cells::{Cells, Nested, is_right_aligned, one_line};
use super::{RowSink, Style};

/// No cell is wider than this, whatever the width of the terminal.
const CELL_WIDTH_MAX: usize = 1_000;
/// A column is not made narrower than this to let another one stay.
const COLUMN_WIDTH_MIN: usize = 12;
/// The mark of what was left out.
const GAP: &str = "…";

/// Draws a box when the result has ended.
pub(super) struct Table<'a> {
    schema: SchemaRef,
    out: Box<dyn Write + Send + 'a>,
    style: Style,
    head: Vec<RecordBatch>,
    head_rows: usize,
    tail: VecDeque<RecordBatch>,
    tail_rows: usize,
    rows: u64,
}

impl<'a> Table<'a> {
    pub(super) fn new(schema: &SchemaRef, out: Box<dyn Write + Send + 'a>, style: Style) -> Self {
        Self {
            schema: schema.clone(),
            out,
            style,
            head: Vec::new(),
            head_rows: 0,
            tail: VecDeque::new(),
            tail_rows: 0,
            rows: 0,
        }
    }

    /// Rows shown from the end of a result that is too long.
    fn tail_rows_max(&self) -> usize {
        self.style.rows_max / 2
    }
}

impl RowSink for Table<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let to_head = batch.num_rows().min(self.style.rows_max - self.head_rows);
        if to_head > 0 {
            self.head.push(batch.slice(0, to_head));
            self.head_rows += to_head;
        }
        let rest = batch.num_rows() - to_head;
        if rest > 0 {
            self.tail.push_back(batch.slice(to_head, rest));
            self.tail_rows += rest;
        }
        while let Some(first) = self.tail.front()
            && self.tail_rows - first.num_rows() >= self.tail_rows_max()
        {
            self.tail_rows -= first.num_rows();
            self.tail.pop_front();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let whole = self.rows <= self.style.rows_max as u64;
        let mut rows = texts(self.head.iter())?;
        let mut gap_at = None;
        if !whole {
            let tail = texts(self.tail.iter())?;
            rows.extend(tail);
            let from_tail = self.tail_rows_max();
            let from_head = self.style.rows_max - from_tail;
            rows.drain(from_head..rows.len() - from_tail);
            gap_at = Some(from_head);
        }
        let mut grid = Grid::new(&self.schema, rows, self.style);
        grid.fit();
        let footer = grid.footer((!whole).then_some(self.rows));
        grid.draw(&mut self.out, gap_at, &footer)?;
        Ok(self.out.flush()?)
    }
}

/// The text of each cell; `None` is NULL.
fn texts<'b>(batches: impl Iterator<Item = &'b RecordBatch>) -> Result<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    let mut text = String::new();
    for batch in batches {
        let options = EncoderOptions::default();
        let mut cells = Cells::new(batch, Nested::Readable, &options)?;
        for row in 0..batch.num_rows() {
            let mut line = Vec::with_capacity(batch.num_columns());
            for column in 0..batch.num_columns() {
                if cells.is_null(row, column) {
                    line.push(None);
                } else {
                    cells.read(row, column, &mut text)?;
                    line.push(Some(truncate_str(&one_line(&text), CELL_WIDTH_MAX, GAP).into_owned()));
                }
            }
            rows.push(line);
        }
    }
    Ok(rows)
}

/// One column as it is drawn.
struct GridColumn {
    name: String,
    type_name: String,
    right: bool,
    width: usize,
    /// Where its cells stand in a row; `None` for the column that stands for those left out.
    index: Option<usize>,
}

/// Draws rows that are text already, under a header of names.
pub(crate) fn draw_texts(
    out: &mut dyn Write,
    columns: &[(&str, bool)],
    rows: Vec<Vec<Option<String>>>,
    style: Style,
) -> Result<()> {
    let column = |(index, (name, right)): (usize, &(&str, bool))| GridColumn {
        name: one_line(name).into_owned(),
        type_name: String::new(),
        right: *right,
        width: column_width(name, &rows, index),
        index: Some(index),
    };
    let columns: Vec<GridColumn> = columns.iter().enumerate().map(column).collect();
    let mut grid = Grid { columns_total: columns.len(), columns, typed: false, rows, style };
    grid.fit();
    let footer = grid.footer(None);
    grid.draw(out, None, &footer)
}

/// The width that shows a column whole.
fn column_width(name: &str, rows: &[Vec<Option<String>>], index: usize) -> usize {
    let cells = rows.iter().map(|row| row[index].as_deref().map_or(4, measure_text_width)).max().unwrap_or(0);
    cells.max(measure_text_width(name)).max(1)
}

struct Grid {
    columns: Vec<GridColumn>,
    columns_total: usize,
    /// Whether a line of type names stands below the names.
    typed: bool,
    rows: Vec<Vec<Option<String>>>,
    style: Style,
}

impl Grid {
    fn new(schema: &SchemaRef, rows: Vec<Vec<Option<String>>>, style: Style) -> Self {
        let column = |(index, field): (usize, &arrow::datatypes::FieldRef)| {
            let name = one_line(field.name()).into_owned();
            let type_name = truncate_str(&sql_type(field.data_type()), CELL_WIDTH_MAX, GAP).into_owned();
            // A long type name (a STRUCT's) does not widen a column of short values.
            let type_width = measure_text_width(&type_name).min(24);
            let width = column_width(&name, &rows, index).max(type_width);
            GridColumn { name, type_name, right: is_right_aligned(field.data_type()), width, index: Some(index) }
        };
        let columns: Vec<_> = schema.fields().iter().enumerate().map(column).collect();
        Self { columns_total: columns.len(), columns, typed: true, rows, style }
    }

    /// The width of a line with its bars.
    fn line_width(&self) -> usize {
        self.columns.iter().map(|c| c.width + 3).sum::<usize>() + 1
    }

    /// Makes the grid as wide as the terminal at most.
    fn fit(&mut self) {
        let Some(limit) = self.style.width else { return };
        if self.line_width() <= limit {
            return;
        }
        let fits_at =
            |columns: &[GridColumn], cap: usize| columns.iter().map(|c| c.width.min(cap) + 3).sum::<usize>() < limit;
        let mut removed = false;
        while self.columns.len() > 2 && !fits_at(&self.columns, COLUMN_WIDTH_MIN) {
            let middle = self.columns.len() / 2;
            if removed {
                let gap = self.columns.iter().position(|c| c.index.is_none()).unwrap_or(middle);
                let victim = if gap >= self.columns.len() / 2 { gap - 1 } else { gap + 1 };
                self.columns.remove(victim);
            } else {
                let gap =
                    GridColumn { name: GAP.into(), type_name: String::new(), right: false, width: 1, index: None };
                self.columns[middle] = gap;
                removed = true;
            }
        }
        let mut cap = limit;
        while cap > 3 && !fits_at(&self.columns, cap) {
            cap -= 1;
        }
        for column in &mut self.columns {
            column.width = column.width.min(cap);
        }
    }

    /// What is said about the parts left out; empty when nothing is.
    fn footer(&self, rows_total: Option<u64>) -> String {
        let shown = self.columns.iter().filter(|c| c.index.is_some()).count();
        let rows = rows_total.map(|total| format!("{} rows ({} shown)", grouped(total), self.rows.len()));
        let columns = (shown < self.columns_total).then(|| format!("{} columns ({shown} shown)", self.columns_total));
        [rows, columns].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn draw(&self, out: &mut dyn Write, gap_at: Option<usize>, footer: &str) -> Result<()> {
        let (bold, dim) = self.paints();
        self.rule(out, ['┌', '┬', '┐'])?;
        self.line(out, |column| (column.name.as_str(), bold.clone(), column.right))?;
        if self.typed {
            self.line(out, |column| (column.type_name.as_str(), dim.clone(), column.right))?;
        }
        if !self.rows.is_empty() {
            self.rule(out, ['├', '┼', '┤'])?;
        }
        for (number, row) in self.rows.iter().enumerate() {
            if gap_at == Some(number) {
                self.line(out, |column| (if column.index.is_some() { "·" } else { GAP }, dim.clone(), column.right))?;
            }
            self.line(out, |column| match column.index.map(|i| row[i].as_deref()) {
                Some(Some(text)) => (text, Paint::new().force_styling(false), column.right),
                Some(None) => ("NULL", dim.clone(), column.right),
                None => (GAP, dim.clone(), false),
            })?;
        }
        if footer.is_empty() {
            return self.rule(out, ['└', '┴', '┘']);
        }
        let inner = self.line_width() - 2;
        if measure_text_width(footer) + 2 <= inner {
            self.rule(out, ['├', '┴', '┤'])?;
            writeln!(out, "│ {footer}{} │", " ".repeat(inner - 2 - measure_text_width(footer)))?;
            writeln!(out, "└{}┘", "─".repeat(inner))?;
        } else {
            self.rule(out, ['└', '┴', '┘'])?;
            writeln!(out, "{footer}")?;
        }
        Ok(())
    }

    fn paints(&self) -> (Paint, Paint) {
        let plain = Paint::new().force_styling(self.style.color);
        (plain.clone().bold(), plain.dim())
    }

    fn rule(&self, out: &mut dyn Write, [left, middle, right]: [char; 3]) -> Result<()> {
        let mut line = String::from(left);
        for (number, column) in self.columns.iter().enumerate() {
            if number > 0 {
                line.push(middle);
            }
            line.push_str(&"─".repeat(column.width + 2));
        }
        line.push(right);
        writeln!(out, "{line}")?;
        Ok(())
    }

    fn line<'t>(&'t self, out: &mut dyn Write, cell: impl Fn(&'t GridColumn) -> (&'t str, Paint, bool)) -> Result<()> {
        let mut line = String::from("│");
        for column in &self.columns {
            let (text, paint, right) = cell(column);
            let text = truncate_str(text, column.width, GAP);
            let padding = " ".repeat(column.width - measure_text_width(&text));
            let text = paint.apply_to(text);
            let cell = if right { format!(" {padding}{text} │") } else { format!(" {text}{padding} │") };
            line.push_str(&cell);
        }
        writeln!(out, "{line}")?;
        Ok(())
    }
}

/// A number with its thousands set apart: `336,776`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use expect_test::expect;

    use super::super::testing::{PLAIN, rendered};
    use super::super::{Format, Style};
    use super::*;

    fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
        let names: ArrayRef = Arc::new(StringArray::from_iter(rows.map(|i| (i % 3 != 1).then(|| format!("row {i}")))));
        RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("name", names, true)]).unwrap()
    }

    #[test]
    fn draws_a_box() {
        expect![[r#"
            ┌────────┬─────────┐
            │      n │ name    │
            │ BIGINT │ VARCHAR │
            ├────────┼─────────┤
            │      0 │ row 0   │
            │      1 │ NULL    │
            │      2 │ row 2   │
            └────────┴─────────┘
        "#]]
        .assert_eq(&rendered(Format::Table, &[batch(0..3)], PLAIN));
    }

    #[test]
    fn shows_head_and_tail_of_a_long_result() {
        let style = Style { rows_max: 4, ..PLAIN };
        let drawn = rendered(Format::Table, &[batch(0..1000), batch(1000..1499), batch(1499..1500)], style);
        expect![[r#"
            ┌────────┬──────────┐
            │      n │ name     │
            │ BIGINT │ VARCHAR  │
            ├────────┼──────────┤
            │      0 │ row 0    │
            │      1 │ NULL     │
            │      · │ ·        │
            │   1498 │ NULL     │
            │   1499 │ row 1499 │
            └────────┴──────────┘
            1,500 rows (4 shown)
        "#]]
        .assert_eq(&drawn);
    }

    #[test]
    fn fits_the_terminal() {
        let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(300)]));
        let wide = RecordBatch::try_from_iter((0..20).map(|i| (format!("column_{i}"), long.clone()))).unwrap();
        for width in [30, 80, 200] {
            let style = Style { width: Some(width), ..PLAIN };
            let drawn = rendered(Format::Table, std::slice::from_ref(&wide), style);
            let widest = drawn.lines().filter(|l| l.starts_with('│')).map(measure_text_width).max().unwrap();
            assert!(widest <= width, "{widest} > {width}\n{drawn}");
            assert!(drawn.contains("20 columns ("), "{drawn}");
        }
    }

    #[test]
    fn groups_thousands() {
        assert_eq!(
            ["0", "999", "1,000", "12,345,678"],
            [0, 999, 1000, 12_345_678].map(grouped).each_ref().map(String::as_str)
        );
    }
}
