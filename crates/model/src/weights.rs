//! Weights by name, whatever file they stand in.
//!
//! The names are those of GGUF (`token_embd.weight`, `blk.0.attn_q.weight`, `output_norm.weight`); files of other
//! kinds are read under these names. Bytes are borrowed from the file's memory map and never copied here.

use lakemill_kernels::matmul::Packed;
use lakemill_kernels::quant::Format;

use crate::error::{Error, Result};

/// A tensor as its file stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorView<'a> {
    /// The name in GGUF's manner.
    pub name: String,
    /// How the elements are stored.
    pub format: Format,
    /// The lengths, outermost first: `[rows, columns]`. The last is contiguous and holds whole blocks of the format.
    pub shape: Vec<usize>,
    /// The elements, exactly as many bytes as format and shape ask for.
    pub bytes: &'a [u8],
    /// Where the bytes begin in the file, for errors.
    pub offset: u64,
}

impl TensorView<'_> {
    /// How many elements the tensor has.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Checks the shape, so that what follows need not.
    pub fn expect_shape(&self, shape: &[usize]) -> Result<()> {
        if self.shape == shape {
            return Ok(());
        }
        Err(self.error(format!("the shape is {:?}, but the configuration asks for {shape:?}", self.shape)))
    }

    /// All elements as numbers, in the order of the file.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.elements()];
        lakemill_kernels::quant::dequantise(self.format, self.bytes, &mut values);
        values
    }

    /// An error about this tensor.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::tensor(&self.name, self.offset, message)
    }
}

/// Where the weights of a model come from.
pub trait Weights: Send + Sync {
    /// The tensor `name`; an error names it when the file has none.
    fn tensor(&self, name: &str) -> Result<TensorView<'_>>;

    /// Whether there is a tensor `name`.
    fn has(&self, name: &str) -> bool;
}

/// The tensor `name`, which must be `[rows, columns]`, repacked for the processor.
pub(crate) fn matrix(weights: &dyn Weights, name: &str, rows: usize, columns: usize) -> Result<Packed> {
    let tensor = weights.tensor(name)?;
    tensor.expect_shape(&[rows, columns])?;
    if !columns.is_multiple_of(tensor.format.block_elements()) {
        let format = tensor.format.name();
        return Err(tensor.error(format!("rows of {columns} elements are no whole blocks of {format}")));
    }
    Ok(Packed::new(tensor.format, rows, columns, tensor.bytes))
}

/// The tensor `name`, which must be `[length]`, as numbers.
pub(crate) fn vector(weights: &dyn Weights, name: &str, length: usize) -> Result<Vec<f32>> {
    let tensor = weights.tensor(name)?;
    tensor.expect_shape(&[length])?;
    Ok(tensor.to_f32())
}
