//! A GGUF file of any bytes: an error or a model whose parts can all be asked for, and no panic.

#![no_main]

use lakemill_kernels::map::Map;
use lakemill_model::gguf::Gguf;
use lakemill_model::weights::Weights;
use lakemill_model::{Architecture, ChatTemplate, Tokenizer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Gguf::parse(Map::from(bytes.to_vec())) else { return };
    for name in file.tensor_names() {
        let tensor = file.tensor(name).expect("a tensor that the header names");
        let blocks = tensor.elements() / tensor.format.block_elements();
        assert_eq!(tensor.bytes.len(), blocks * tensor.format.block_bytes());
        assert_eq!(tensor.to_f32().len(), tensor.elements());
    }
    for key in file.keys() {
        _ = (file.text(key), file.integer(key), file.float(key), file.boolean(key));
        _ = (file.texts(key), file.integers(key), file.floats(key));
    }
    _ = Architecture::from_gguf(&file);
    _ = ChatTemplate::from_gguf(&file);
    if let Ok(tokenizer) = Tokenizer::from_gguf(&file) {
        let ids = tokenizer.encode("Hello, <|im_end|> wörld 12", true).unwrap_or_default();
        _ = tokenizer.decode(&ids, false);
        ids.iter().for_each(|id| _ = tokenizer.token_bytes(*id));
    }
});
