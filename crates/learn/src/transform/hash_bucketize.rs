//! `ML.HASH_BUCKETIZE(x, hash_bucket_size)`: `ABS(MOD(FARM_FINGERPRINT(x), hash_bucket_size))`; with size 0 the
//! fingerprint itself.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use serde_json::{Value, json};

use super::args::Args;
use super::{Apply, Function, Stateless, TransformFit};
use crate::encode::numbers::texts;
use crate::{OptionValue, Result};

const NAME: &str = "ML.HASH_BUCKETIZE";
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read };

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["hash_bucket_size"])?;
    args.category_column()?;
    let size = args.int(0, "hash_bucket_size", None, 0..=i64::MAX)?;
    Ok(Box::new(Stateless { function: &FUNCTION, apply: HashBuckets { size } }))
}

fn read(value: &Value) -> Option<Arc<dyn Apply>> {
    Some(Arc::new(HashBuckets { size: value.get("hash_bucket_size")?.as_i64()? }))
}

#[derive(Clone, Debug)]
struct HashBuckets {
    size: i64,
}

/// FarmHash Fingerprint64, as BigQuery's signed number.
fn fingerprint(text: &str) -> i64 {
    farmhash::fingerprint64(text.as_bytes()).cast_signed()
}

impl Apply for HashBuckets {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        let bucket = |text: &str| match self.size {
            0 => fingerprint(text),
            size => (fingerprint(text) % size).abs(),
        };
        Ok(Arc::new(texts(&args[0])?.iter().map(|text| text.map(bucket)).collect::<Int64Array>()))
    }

    fn output_type(&self) -> &DataType {
        &DataType::Int64
    }

    fn statistics(&self) -> Value {
        json!({ "hash_bucket_size": self.size })
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn matches_the_documented_fingerprints() {
        // BigQuery's documentation of FARM_FINGERPRINT, on the texts that its example concatenates.
        assert_eq!(fingerprint("1footrue"), -1_541_654_101_129_638_711);
        assert_eq!(fingerprint("2applefalse"), 2_794_438_866_806_483_259);
        assert_eq!(fingerprint("3true"), -4_880_158_226_897_771_312);
    }
}
