//! Files that are cut short, wrong or made to harm: an error each, and no panic.

use lakemill_kernels::map::Map;
use lakemill_kernels::quant::Format;
use lakemill_model::gguf::Gguf;
use lakemill_model::safetensors::Safetensors;
use lakemill_model::weights::Weights;
use lakemill_model::{ChatTemplate, Conversation, Message, Tokenizer};
use proptest::prelude::*;

use crate::models::smollm2;

/// Writes GGUF by its specification.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn new(version: u32, tensors: u64, entries: u64) -> Self {
        let mut writer = Self(b"GGUF".to_vec());
        writer.u32(version);
        writer.u64(tensors);
        writer.u64(entries);
        writer
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn tensor(&mut self, name: &str, dimensions: &[u64], format: u32, offset: u64) {
        self.text(name);
        self.u32(dimensions.len() as u32);
        dimensions.iter().for_each(|length| self.u64(*length));
        self.u32(format);
        self.u64(offset);
    }

    fn data(mut self, bytes: usize) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(32) + bytes, 0);
        self.0
    }

    fn parse(self, bytes: usize) -> String {
        Gguf::parse(Map::from(self.data(bytes))).map(|_| ()).unwrap_err().to_string()
    }
}

/// A small whole file: an entry of each type and two tensors.
fn sample() -> Vec<u8> {
    let mut writer = Writer::new(3, 2, 15);
    let scalars: [(u32, &[u8]); 12] = [
        (0, &[1]),
        (1, &[255]),
        (2, &[1, 0]),
        (3, &[255, 255]),
        (4, &[1, 0, 0, 0]),
        (5, &[255, 255, 255, 255]),
        (6, &1.5f32.to_le_bytes()),
        (7, &[1]),
        (8, &[2, 0, 0, 0, 0, 0, 0, 0, b'o', b'k']),
        (10, &[1, 0, 0, 0, 0, 0, 0, 0]),
        (11, &[255, 255, 255, 255, 255, 255, 255, 255]),
        (12, &2.5f64.to_le_bytes()),
    ];
    for (kind, bytes) in scalars {
        writer.text(&format!("key{kind}"));
        writer.u32(kind);
        writer.0.extend(bytes);
    }
    writer.text("list");
    writer.u32(9);
    writer.u32(8);
    writer.u64(2);
    writer.text("a");
    writer.text("bc");
    writer.text("numbers");
    writer.u32(9);
    writer.u32(5);
    writer.u64(2);
    writer.u32(7);
    writer.u32(u32::MAX);
    writer.text("nested");
    writer.u32(9);
    writer.u32(9);
    writer.u64(1);
    writer.u32(4);
    writer.u64(0);
    writer.tensor("one", &[4, 2], 0, 0);
    writer.tensor("two", &[32], 8, 32);
    writer.data(32 + 34)
}

#[test]
fn a_whole_file_is_read() {
    let file = Gguf::parse(Map::from(sample())).unwrap();
    assert_eq!(file.integer("key4").unwrap(), Some(1));
    assert_eq!(file.float("key6").unwrap(), Some(1.5));
    assert_eq!(file.boolean("key7").unwrap(), Some(true));
    assert_eq!(file.text("key8").unwrap(), Some("ok"));
    assert_eq!(file.texts("list").unwrap(), Some(vec!["a", "bc"]));
    assert_eq!(file.integers("numbers").unwrap(), Some(vec![7, -1]));
    assert_eq!(file.text("nothing").unwrap(), None);
    assert!(file.integer("key1").unwrap_err().to_string().contains("'key1' is a negative number"));
    let two = file.tensor("two").unwrap();
    assert_eq!((two.format, two.shape.as_slice(), two.bytes.len()), (Format::Q8_0, [32].as_slice(), 34));
    assert_eq!(file.tensor("one").unwrap().shape, [2, 4]);
}

#[test]
fn every_cut_of_a_file_is_an_error() {
    let whole = sample();
    for length in 0..whole.len() {
        assert!(Gguf::parse(Map::from(whole[..length].to_vec())).is_err(), "a file of {length} bytes is taken");
    }
}

#[test]
fn an_error_names_the_tensor_and_its_place() {
    let mut writer = Writer::new(3, 1, 0);
    writer.tensor("blk.0.attn_q.weight", &[256, 4], 10, 0);
    let error = writer.parse(1024);
    assert!(
        error.starts_with("tensor 'blk.0.attn_q.weight' at byte 24: format Q2_K cannot be read; convert"),
        "{error}"
    );
    let mut writer = Writer::new(3, 1, 0);
    writer.tensor("t", &[32, 4], 8, 0);
    assert_eq!(
        writer.parse(100),
        "tensor 't' at byte 96: it ends at byte 232, but the file has 196; the file is cut short, so fetch it again"
    );
    let mut writer = Writer::new(3, 1, 0);
    writer.tensor("t", &[33], 8, 0);
    assert!(writer.parse(100).contains("its rows have 33 elements; Q8_0 needs whole blocks of 32"));
    let mut writer = Writer::new(3, 1, 0);
    writer.tensor("t", &[1 << 40, 1 << 40], 0, 0);
    assert!(writer.parse(100).contains("empty or beyond every file"));
    let mut writer = Writer::new(3, 1, 0);
    writer.tensor("t", &[4], 77, 0);
    assert!(writer.parse(100).contains("format number 77 cannot be read"));
    let mut writer = Writer::new(3, 1, 0);
    writer.tensor("t", &[4], 0, u64::MAX - 31);
    assert!(writer.parse(100).contains("beyond every file"));
}

#[test]
fn a_count_is_not_believed() {
    assert!(Writer::new(3, 1 << 17, 0).parse(100).contains("only"));
    assert!(Writer::new(3, u64::MAX, 0).parse(100).contains("at most"));
    assert!(Writer::new(1, 0, 0).parse(0).contains("version 1"));
    assert!(Writer::new(3u32.swap_bytes(), 0, 0).parse(0).contains("big-endian"));
    let mut writer = Writer::new(3, 0, 1);
    writer.text("k");
    writer.u32(9);
    writer.u32(8);
    writer.u64(u64::MAX / 2);
    assert!(writer.parse(100).contains("elements, but only"));
}

#[test]
fn a_cut_model_is_told() {
    let whole = std::fs::read(smollm2()).unwrap();
    let error = Gguf::parse(Map::from(whole[..50_000_000].to_vec())).map(|_| ()).unwrap_err();
    assert!(error.tensor_name().is_some(), "{error}");
    assert!(error.to_string().contains("cut short"), "{error}");
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(std::iter::repeat_n(0, data));
    bytes
}

const HEADER: &str = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},
    "b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},"c":{"dtype":"I64","shape":[],"data_offsets":[22,30]}}"#;

#[test]
fn safetensors_are_read() {
    let file = Safetensors::parse(Map::from(safetensors(HEADER, 30))).unwrap();
    assert_eq!(file.tensor("a").unwrap().shape, [2, 2]);
    assert_eq!(file.tensor("b").unwrap().format, Format::Bf16);
    assert!(file.tensor("c").unwrap_err().to_string().contains("type I64 cannot be read"));
    let error = Safetensors::parse(Map::from(safetensors(HEADER, 20))).map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("tensor 'b' at byte"), "{error}");
}

/// Whether the format's own library takes the bytes.
fn library_takes(bytes: &[u8]) -> bool {
    safetensors::SafeTensors::deserialize(bytes).is_ok()
}

fn mutated(whole: &[u8], changes: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for (place, value) in changes {
        let place = place.index(bytes.len());
        bytes[place] = *value;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_mutated_gguf_file_never_panics(changes in changes(), cut in any::<Option<prop::sample::Index>>()) {
        if let Ok(file) = Gguf::parse(Map::from(mutated(&sample(), &changes, cut))) {
            for name in file.tensor_names() {
                let tensor = file.tensor(name).unwrap();
                prop_assert_eq!(tensor.bytes.len(), tensor.elements() / tensor.format.block_elements() * tensor.format.block_bytes());
            }
            for key in file.keys() {
                _ = (file.text(key), file.integer(key), file.float(key), file.boolean(key));
                _ = (file.texts(key), file.integers(key), file.floats(key));
            }
        }
    }

    #[test]
    fn a_mutated_safetensors_file_is_taken_where_the_library_takes_it(
        changes in changes(),
        cut in any::<Option<prop::sample::Index>>(),
        header in prop::bool::ANY,
    ) {
        let whole = if header { safetensors(HEADER, 30) } else { safetensors(r#"{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#, 2) };
        let bytes = mutated(&whole, &changes, cut);
        let ours = Safetensors::parse(Map::from(bytes.clone())).is_ok();
        if ours {
            prop_assert!(library_takes(&bytes), "ours takes what the library refuses");
        }
    }

    #[test]
    fn a_mutated_template_never_panics(changes in changes(), cut in any::<Option<prop::sample::Index>>()) {
        let whole = "{% for m in messages %}{% if loop.first and m['role'] != 'x' %}{{ m.content | trim | tojson(indent=2) }}{% endif %}{{ m.content.split('a')[-1:] }}{% endfor %}{% set ns = namespace(a=1) %}{%- macro f(x=3) -%}{{ x // 2 }}{%- endmacro -%}{{ f(ns.a) }}";
        let source = String::from_utf8_lossy(&mutated(whole.as_bytes(), &changes, cut)).into_owned();
        if let Ok(template) = ChatTemplate::new(&source, []) {
            let messages = [Message::new("user", "banana"), Message::new("assistant", "ä")];
            _ = template.render_conversation(&Conversation { messages: &messages, now_ms: Some(0), ..Conversation::default() });
        }
    }

    #[test]
    fn guarded_text_is_plain_text(text in "(\\PC|<\\|im_end\\|>|<\\|im_start\\|>|<|\\|){0,20}") {
        let tokenizer = tokenizer();
        prop_assert_eq!(tokenizer.encode_guarded(&tokenizer.guard(&text)).unwrap(), tokenizer.encode(&text, false).unwrap());
    }
}

fn tokenizer() -> &'static Tokenizer {
    static TOKENIZER: std::sync::OnceLock<Tokenizer> = std::sync::OnceLock::new();
    TOKENIZER.get_or_init(|| Tokenizer::from_gguf(&Gguf::open(smollm2()).unwrap()).unwrap())
}
