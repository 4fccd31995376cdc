//! Canonical row order, and which rows train and which are held out.
//!
//! Rows are ordered by a 128-bit hash of their content (BLAKE3 of Arrow's row encoding, all columns). Rows that hash
//! alike are equal, so their order means nothing. A model therefore depends on the set of rows, not on the order or
//! the partitions in which a query delivered them.
//!
//! RANDOM and AUTO_SPLIT hold out the rows that come first when the seed is mixed into that hash: the same rows and
//! seed give the same split, and the number held out is exact.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, interleave_record_batch, is_not_null};
use arrow::row::{RowConverter, SortField};
use lakemill_base::SplitMix64;
use rayon::prelude::*;

use crate::fold::CHUNK_ROWS;
use crate::{Driver, Error, Result, TrainSpec};

/// AUTO_SPLIT trains on everything below so many rows.
const AUTO_ALL_TRAIN_ROWS: usize = 500;
/// AUTO_SPLIT holds out a fifth up to so many rows, and [`AUTO_EVAL_ROWS_MAX`] above.
const AUTO_FIFTH_ROWS: usize = 50_000;
const AUTO_EVAL_ROWS_MAX: usize = 10_000;

/// Rows in canonical order, cut into those that train and those that evaluate.
#[derive(Clone, Debug)]
pub struct Split {
    /// Rows to fit on.
    pub train: Vec<RecordBatch>,
    /// Rows held out; none for `NO_SPLIT` and small inputs.
    pub eval: Vec<RecordBatch>,
    /// Rows left out because their label is NULL.
    pub dropped_null_label: u64,
}

/// A row by its place in the input.
#[derive(Clone, Copy)]
struct Row {
    hash: u128,
    batch: u32,
    row: u32,
}

/// Puts rows into canonical order and splits them as the options say.
///
/// # Errors
/// There are no rows or none with a label, or the split leaves none to train on.
pub fn split(spec: &TrainSpec, rows: &[RecordBatch], driver: &Driver) -> Result<Split> {
    let before: usize = rows.iter().map(RecordBatch::num_rows).sum();
    if before == 0 {
        return Err(Error::data("the training query gave no rows; nothing can be learned from an empty table"));
    }
    let labelled = drop_null_labels(spec, rows)?;
    let after: usize = labelled.iter().map(RecordBatch::num_rows).sum();
    if after == 0 {
        let text = format!("label '{}' is NULL in all {before} rows; rows without a label cannot train", spec.label);
        return Err(Error::column(&spec.label, text));
    }
    let order = canonical_order(&labelled, driver)?;
    let held_out = choose_eval(spec, &labelled, &order)?;
    let part = |wanted: bool| -> Vec<(usize, usize)> {
        let chosen = order.iter().zip(&held_out).filter(|(_, eval)| **eval == wanted);
        chosen.map(|(row, _)| (row.batch as usize, row.row as usize)).collect()
    };
    let train = gather(&labelled, &part(false), driver)?;
    if train.is_empty() {
        let column = spec.split_column.as_deref().unwrap_or_default();
        let text = format!(
            "data_split_method '{}' on column '{column}' holds out all {after} rows; none are left to train on",
            spec.options.text("data_split_method").unwrap_or_default()
        );
        return Err(Error::option("data_split_method", text));
    }
    Ok(Split { train, eval: gather(&labelled, &part(true), driver)?, dropped_null_label: (before - after) as u64 })
}

fn drop_null_labels(spec: &TrainSpec, rows: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
    rows.iter()
        .map(|batch| {
            let label = named(batch, &spec.label)?;
            if label.logical_null_count() == 0 {
                return Ok(batch.clone());
            }
            Ok(filter_record_batch(batch, &is_not_null(label)?)?)
        })
        .collect()
}

fn canonical_order(batches: &[RecordBatch], driver: &Driver) -> Result<Vec<Row>> {
    driver.pool().install(|| {
        let parts: Vec<Result<Vec<Row>>> =
            batches.par_iter().enumerate().map(|(index, batch)| hash_rows(index, batch)).collect();
        let mut order = Vec::new();
        for part in parts {
            order.extend(part?);
        }
        order.par_sort_unstable_by_key(|row| row.hash);
        Ok(order)
    })
}

fn hash_rows(index: usize, batch: &RecordBatch) -> Result<Vec<Row>> {
    let fields = batch.columns().iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let number =
        |value: usize| u32::try_from(value).map_err(|_| Error::exhausted("more than 4 billion rows in a batch"));
    let mut hashes = Vec::with_capacity(batch.num_rows());
    let mut offset = 0;
    while offset < batch.num_rows() {
        // The row encoding of a slice at a time bounds the memory that it takes.
        let slice = batch.slice(offset, CHUNK_ROWS.min(batch.num_rows() - offset));
        let rows = converter.convert_columns(slice.columns())?;
        for row in rows.iter() {
            let hash = content_hash(row.as_ref());
            hashes.push(Row { hash, batch: number(index)?, row: number(hashes.len())? });
        }
        offset += slice.num_rows();
    }
    Ok(hashes)
}

fn content_hash(bytes: &[u8]) -> u128 {
    let mut half = [0u8; 16];
    half.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    u128::from_le_bytes(half)
}

/// For each row of the canonical order, whether it is held out.
fn choose_eval(spec: &TrainSpec, batches: &[RecordBatch], order: &[Row]) -> Result<Vec<bool>> {
    let fraction = spec.options.float("data_split_eval_fraction");
    let share = (order.len() as f64 * fraction).round() as usize;
    match spec.options.text("data_split_method").as_deref() {
        Some("NO_SPLIT") => Ok(vec![false; order.len()]),
        Some("RANDOM") => Ok(random(spec.seed(), order, share.min(order.len() - 1))),
        Some("CUSTOM") => custom(spec, batches, order),
        Some("SEQ") => sequential(spec, batches, order, share),
        _ => Ok(random(spec.seed(), order, auto_rows(order.len()))),
    }
}

fn auto_rows(rows: usize) -> usize {
    match rows {
        0..AUTO_ALL_TRAIN_ROWS => 0,
        AUTO_ALL_TRAIN_ROWS..=AUTO_FIFTH_ROWS => rows / 5,
        _ => AUTO_EVAL_ROWS_MAX,
    }
}

fn random(seed: u64, order: &[Row], eval_rows: usize) -> Vec<bool> {
    let salt = SplitMix64::new(seed).next_u64();
    let mut keys: Vec<(u64, u32)> = order
        .iter()
        .enumerate()
        .map(|(place, row)| (SplitMix64::new(row.hash as u64 ^ salt).next_u64(), place as u32))
        .collect();
    keys.sort_unstable();
    let mut held_out = vec![false; order.len()];
    for (_, place) in &keys[..eval_rows] {
        held_out[*place as usize] = true;
    }
    held_out
}

fn custom(spec: &TrainSpec, batches: &[RecordBatch], order: &[Row]) -> Result<Vec<bool>> {
    let columns: Vec<&BooleanArray> = batches
        .iter()
        .map(|batch| {
            let column = named(batch, split_column(spec)?)?;
            column
                .as_boolean_opt()
                .ok_or_else(|| Error::invalid("the column of data_split_method 'CUSTOM' must be BOOL"))
        })
        .collect::<Result<_>>()?;
    // TRUE and NULL are held out.
    Ok(order
        .iter()
        .map(|row| {
            let column = columns[row.batch as usize];
            column.is_null(row.row as usize) || column.value(row.row as usize)
        })
        .collect())
}

/// The last rows by the split column; rows equal to the first one held out are held out too, and so are NULLs.
fn sequential(spec: &TrainSpec, batches: &[RecordBatch], order: &[Row], share: usize) -> Result<Vec<bool>> {
    let columns: Vec<ArrayRef> =
        batches.iter().map(|batch| named(batch, split_column(spec)?).cloned()).collect::<Result<_>>()?;
    let Some(first) = columns.first() else { return Ok(Vec::new()) };
    let nulls_last = arrow::compute::SortOptions { descending: false, nulls_first: false };
    let converter = RowConverter::new(vec![SortField::new_with_options(first.data_type().clone(), nulls_last)])?;
    let encoded = columns
        .iter()
        .map(|column| converter.convert_columns(std::slice::from_ref(column)))
        .collect::<Result<Vec<_>, _>>()?;
    let key = |row: &Row| encoded[row.batch as usize].row(row.row as usize);
    let mut keys: Vec<_> = order.iter().map(key).collect();
    keys.sort_unstable();
    let threshold = keys.get(keys.len().saturating_sub(share)).copied();
    Ok(order
        .iter()
        .map(|row| {
            let null = columns[row.batch as usize].is_null(row.row as usize);
            null || threshold.is_some_and(|threshold| key(row) >= threshold)
        })
        .collect())
}

fn gather(batches: &[RecordBatch], rows: &[(usize, usize)], driver: &Driver) -> Result<Vec<RecordBatch>> {
    let sources: Vec<&RecordBatch> = batches.iter().collect();
    driver.pool().install(|| {
        rows.par_chunks(CHUNK_ROWS)
            .map(|chunk| Ok(interleave_record_batch(&sources, chunk)?))
            .collect::<Result<Vec<_>>>()
    })
}

fn split_column(spec: &TrainSpec) -> Result<&str> {
    spec.split_column.as_deref().ok_or_else(|| Error::internal("a split by a column without the column's name"))
}

fn named<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::column(name, format!("the rows lack the column '{name}'")))
}
