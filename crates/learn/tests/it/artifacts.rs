//! Models through files.

use bytes::Bytes;
use lakemill_base::ErrorKind;
use lakemill_learn::{Artifact, Model, PredictOptions};

use crate::data::{fit, rows};

fn saved() -> (Model, Artifact) {
    let model = fit("LOGISTIC_REG", "m", &[], &rows(&["x1", "x2", "cat", "m"])).unwrap();
    let artifact = model.to_artifact().unwrap();
    (model, artifact)
}

#[test]
fn a_loaded_model_predicts_and_tells_the_same() {
    let (model, mut artifact) = saved();
    artifact.add_file("transform.json", Bytes::from_static(b"{}")).unwrap();
    artifact.set_section("lineage", serde_json::json!({ "query": "SELECT 1" })).unwrap();
    let loaded = Model::from_artifact(&Artifact::verify(artifact.files).unwrap()).unwrap();
    let batch = rows(&["x1", "x2", "cat"]);
    let predict = |model: &Model| model.predict(&batch, &PredictOptions::default()).unwrap();
    assert_eq!(predict(&model), predict(&loaded));
    assert_eq!(model.weights(false).unwrap(), loaded.weights(false).unwrap());
    assert_eq!(model.training_info(), loaded.training_info());
    assert_eq!(model.feature_info(), loaded.feature_info());
    assert_eq!(model.spec(), loaded.spec());
    assert_eq!(model.output_fields(), loaded.output_fields());
    assert_eq!(model.features(), loaded.features());
    let types: Vec<_> = predict(&model).iter().map(|array| array.data_type().clone()).collect();
    let fields: Vec<_> = model.output_fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types, fields);
}

#[test]
fn damage_is_found_before_anything_is_read() {
    let (_, artifact) = saved();
    for name in artifact.files.keys() {
        let mut cut = artifact.files.clone();
        cut.insert(name.clone(), artifact.files[name].slice(..artifact.files[name].len() / 2));
        assert_eq!(Artifact::verify(cut).unwrap_err().kind(), ErrorKind::Data, "{name} cut");
        let mut altered = artifact.files.clone();
        let mut bytes = artifact.files[name].to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        altered.insert(name.clone(), bytes.into());
        assert_eq!(Artifact::verify(altered).unwrap_err().kind(), ErrorKind::Data, "{name} altered");
        let mut missing = artifact.files.clone();
        missing.remove(name);
        assert_eq!(Artifact::verify(missing).unwrap_err().kind(), ErrorKind::Data, "{name} missing");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let (_, artifact) = saved();
    let mut files = artifact.files;
    let text = String::from_utf8(files["manifest.json"].to_vec()).unwrap();
    files.insert("manifest.json".to_owned(), text.replace("\"format_version\": 1", "\"format_version\": 2").into());
    let error = Artifact::verify(files).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.to_string(), "the model is of format version 2; this program reads up to 1, use a newer one");
}

#[test]
fn every_model_type_survives_its_files() {
    use lakemill_learn::OptionValue::Int;
    let trees = [("max_iterations", Int(10)), ("max_tree_depth", Int(3))];
    let cases: [(&str, &str, &[(&str, lakemill_learn::OptionValue)]); 6] = [
        ("LINEAR_REG", "y", &[]),
        ("LOGISTIC_REG", "b", &[]),
        ("LOGISTIC_REG", "m", &[]),
        ("BOOSTED_TREE_REGRESSOR", "y", &trees),
        ("BOOSTED_TREE_CLASSIFIER", "b", &trees),
        ("BOOSTED_TREE_CLASSIFIER", "m", &trees),
    ];
    for (kind, label, options) in cases {
        let batch = rows(&["x1", "x2", "x3", "cat", label]);
        let model = fit(kind, label, options, &batch).unwrap();
        let loaded = Model::from_artifact(&Artifact::verify(model.to_artifact().unwrap().files).unwrap()).unwrap();
        let predict = |model: &Model| model.predict(&batch, &PredictOptions::default()).unwrap();
        assert_eq!(predict(&model), predict(&loaded), "{kind} {label}");
        assert_eq!(model.output_fields().len(), predict(&model).len());
        assert_eq!(model.weights(false).is_ok(), !model.model_type().is_tree());
        assert_eq!(model.feature_importance().is_ok(), model.model_type().is_tree());
        assert!(model.training_info().num_rows() > 0);
        // One row at a time gives the same answers.
        let single = model.predict(&batch.slice(7, 1), &PredictOptions::default()).unwrap();
        assert_eq!(single[0].as_ref(), predict(&model)[0].slice(7, 1).as_ref());
    }
}
