//! What an encoder is made of, and how its tokens become one vector.

use std::path::Path;

use serde_json::Value;

use crate::config::json::Fields;
use crate::config::{CONTEXT_TOKENS_MAX, LAYERS_MAX, VOCABULARY_MAX, WIDTH_MAX};
use crate::error::{Error, Result};
use crate::files::ModelFiles;
use crate::gguf::Gguf;
use crate::tokenizer::special::read_json;
use crate::weights::Weights;

/// The epsilon of BERT's norms where a configuration gives none.
const NORM_EPSILON_DEFAULT: f32 = 1e-12;

/// The structure of an encoder of the BERT family.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// Transformer blocks.
    pub layers: usize,
    /// Elements of a token's vector, and of the result.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Elements inside the feed-forward network.
    pub feed_forward: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Positions that have an embedding.
    pub positions: usize,
    /// The most tokens of a text, those around it included; the rest is cut off.
    pub tokens_max: usize,
    /// The epsilon of every norm.
    pub norm_epsilon: f32,
    /// The function inside the feed-forward network.
    pub activation: Activation,
    /// How the tokens' vectors become one.
    pub pooling: Pooling,
    /// Whether the result is brought to length 1.
    pub normalise: bool,
}

/// The function inside the feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// GELU by the error function.
    Gelu,
    /// GELU by the hyperbolic tangent.
    GeluTanh,
}

/// How the tokens' vectors become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first token's.
    First,
    /// The last token's.
    Last,
    /// The largest of each element.
    Max,
}

impl EncoderConfig {
    /// The structure that the files of a model say.
    pub(super) fn read(files: &ModelFiles) -> Result<Self> {
        let config = match (files.gguf(), files.folder()) {
            (Some(file), _) => Self::from_gguf(file)?,
            (None, Some((folder, config))) => Self::from_folder(folder, config)?,
            (None, None) => return Err(Error::internal("a model without files")),
        };
        config.check()?;
        Ok(config)
    }

    fn from_gguf(file: &Gguf) -> Result<Self> {
        let family = file.required_text("general.architecture")?;
        if family != "bert" {
            return Err(not_an_encoder(family));
        }
        let required = |key: &str| Ok::<_, Error>(file.required_integer(&format!("bert.{key}"))? as usize);
        let embedding = file.tensor("token_embd.weight")?;
        let positions = required("context_length")?;
        Ok(Self {
            layers: required("block_count")?,
            width: required("embedding_length")?,
            heads: required("attention.head_count")?,
            feed_forward: required("feed_forward_length")?,
            vocabulary: embedding.shape.first().copied().unwrap_or(0),
            positions,
            tokens_max: positions,
            norm_epsilon: file
                .float("bert.attention.layer_norm_epsilon")?
                .map_or(NORM_EPSILON_DEFAULT, |epsilon| epsilon as f32),
            activation: Activation::Gelu,
            pooling: match file.integer("bert.pooling_type")? {
                None | Some(1) => Pooling::Mean,
                Some(2) => Pooling::First,
                Some(3) => Pooling::Last,
                Some(other) => return Err(Error::data(format!("pooling of type {other} cannot be run; 1 to 3 can"))),
            },
            normalise: true,
        })
    }

    fn from_folder(folder: &Path, config: &Value) -> Result<Self> {
        let fields = Fields(config);
        let family = fields.text("model_type")?.unwrap_or_default();
        if family != "bert" {
            return Err(not_an_encoder(family));
        }
        if let Some(kind) = fields.text("position_embedding_type")?.filter(|kind| *kind != "absolute") {
            return Err(Error::data(format!("the encoder's positions are '{kind}'; only 'absolute' can be run")));
        }
        let positions = fields.required("max_position_embeddings")?;
        let modules = modules(folder)?;
        Ok(Self {
            layers: fields.required("num_hidden_layers")?,
            width: fields.required("hidden_size")?,
            heads: fields.required("num_attention_heads")?,
            feed_forward: fields.required("intermediate_size")?,
            vocabulary: fields.required("vocab_size")?,
            positions,
            tokens_max: tokens_max(folder)?.unwrap_or(positions).min(positions),
            norm_epsilon: fields.float("layer_norm_eps")?.unwrap_or(NORM_EPSILON_DEFAULT),
            activation: match fields.text("hidden_act")?.unwrap_or("gelu") {
                "gelu" => Activation::Gelu,
                "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
                other => {
                    return Err(Error::data(format!("the encoder's activation is '{other}'; only GELU can be run")));
                }
            },
            pooling: modules.pooling,
            normalise: modules.normalise,
        })
    }

    /// Elements of a head.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    fn check(&self) -> Result<()> {
        let bounded = [
            ("layers", self.layers, LAYERS_MAX),
            ("width", self.width, WIDTH_MAX),
            ("heads", self.heads, WIDTH_MAX),
            ("feed-forward width", self.feed_forward, WIDTH_MAX),
            ("vocabulary", self.vocabulary, VOCABULARY_MAX),
            ("positions", self.positions, CONTEXT_TOKENS_MAX),
        ];
        for (what, value, most) in bounded {
            if value == 0 || value > most {
                return Err(Error::data(format!("the encoder's {what} is {value}; it must be 1 to {most}")));
            }
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(Error::data(format!(
                "the encoder's width {} does not divide among its {} heads",
                self.width, self.heads
            )));
        }
        // Room for what stands around every text.
        if self.tokens_max < 2 {
            return Err(Error::data(format!("the encoder takes {} tokens; it must take 2 or more", self.tokens_max)));
        }
        Ok(())
    }
}

fn not_an_encoder(family: &str) -> Error {
    Error::data(format!("the model's architecture is '{family}'; embeddings are made by encoders of architecture bert"))
}

/// The most tokens as sentence-transformers has them, else as the tokenizer does.
fn tokens_max(folder: &Path) -> Result<Option<usize>> {
    for (file, field) in
        [("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")]
    {
        let config = read_json(&folder.join(file))?;
        // Tokenizers without a limit write one beyond all integers.
        if let Some(most) = config.as_ref().and_then(|config| config.get(field)?.as_u64()) {
            return Ok(Some(usize::try_from(most).unwrap_or(usize::MAX)));
        }
    }
    Ok(None)
}

struct Modules {
    pooling: Pooling,
    normalise: bool,
}

/// What follows the transformer, by sentence-transformers' modules.json. Without it: the mean at length 1, which is
/// how encoders are mostly used.
fn modules(folder: &Path) -> Result<Modules> {
    let mut found = Modules { pooling: Pooling::Mean, normalise: false };
    let Some(modules) = read_json(&folder.join("modules.json"))? else {
        return Ok(Modules { normalise: true, ..found });
    };
    for module in modules.as_array().into_iter().flatten() {
        let kind = module.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "Normalize" => found.normalise = true,
            "Pooling" => {
                let path = module.get("path").and_then(Value::as_str).unwrap_or("1_Pooling");
                if path.contains(['/', '\\']) || path.starts_with('.') {
                    return Err(Error::data(format!(
                        "modules.json names the folder '{path}', which is outside the model"
                    )));
                }
                found.pooling = pooling(read_json(&folder.join(path).join("config.json"))?.as_ref())?;
            }
            other => return Err(Error::data(format!("the encoder has a module '{other}', which cannot be run"))),
        }
    }
    Ok(found)
}

fn pooling(config: Option<&Value>) -> Result<Pooling> {
    let Some(config) = config else { return Ok(Pooling::Mean) };
    let on = |mode: &str| config.get(format!("pooling_mode_{mode}")).and_then(Value::as_bool).unwrap_or(false);
    let named = config.get("pooling_mode").and_then(Value::as_str);
    let modes = [
        ("mean_tokens", "mean", Pooling::Mean),
        ("cls_token", "cls", Pooling::First),
        ("lasttoken", "lasttoken", Pooling::Last),
        ("max_tokens", "max", Pooling::Max),
    ];
    let mut chosen = modes.iter().filter(|(mode, name, _)| on(mode) || named == Some(name));
    match (chosen.next(), chosen.next()) {
        (Some((_, _, pooling)), None) if !on("mean_sqrt_len_tokens") && !on("weightedmean_tokens") => Ok(*pooling),
        _ => {
            Err(Error::data("the encoder's pooling cannot be run; the mean, first, last or largest of the tokens can"))
        }
    }
}
