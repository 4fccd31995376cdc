//! A safetensors file of any bytes: an error or tensors that are all within it, and no panic.

#![no_main]

use lakemill_kernels::map::Map;
use lakemill_model::safetensors::Safetensors;
use lakemill_model::weights::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Safetensors::parse(Map::from(bytes.to_vec())) else { return };
    for name in file.tensor_names() {
        if let Ok(tensor) = file.tensor(name) {
            assert_eq!(tensor.bytes.len(), tensor.elements() * tensor.format.block_bytes());
            assert_eq!(tensor.to_f32().len(), tensor.elements());
        }
    }
});
