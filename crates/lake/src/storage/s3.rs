//! `s3://` through object_store's own client.
//!
//! Commits rely on put-if-absent (`If-None-Match: *`), which S3 and its work-alikes answer with a conflict when the
//! version is taken; no lock table is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use url::Url;

use crate::error::{Error, Result};

/// Options that are ours rather than the client's.
const OWN_OPTIONS: [&str; 1] = ["path_style"];

/// The region that is used when none is given: work-alikes want one, but not which.
const DEFAULT_REGION: &str = "us-east-1";

/// Checks an `s3://bucket/key` location.
pub(super) fn parse_url(location: &str) -> Result<Url> {
    let location = location.replacen("s3a://", "s3://", 1);
    let url = Url::parse(&location)
        .map_err(|error| Error::invalid(format!("unusable location '{location}': {error}; use s3://bucket/prefix")))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Error::invalid(format!("location '{location}' names no bucket; use s3://bucket/prefix")));
    }
    Ok(url)
}

/// The store of a bucket: environment first (`AWS_*`), then the storage options.
pub(super) fn bucket_store(bucket: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn ObjectStore>> {
    let mut builder =
        AmazonS3Builder::from_env().with_bucket_name(bucket).with_conditional_put(S3ConditionalPut::ETagMatch);
    if std::env::var_os("AWS_REGION").is_none() && std::env::var_os("AWS_DEFAULT_REGION").is_none() {
        builder = builder.with_region(DEFAULT_REGION);
    }
    for (name, value) in options {
        builder = apply(builder, name, value)?;
    }
    let store = builder.build().map_err(|error| {
        Error::invalid(format!("cannot set up the store of bucket '{bucket}': {error}")).with_source(error)
    })?;
    Ok(Arc::new(store))
}

fn apply(builder: AmazonS3Builder, name: &str, value: &str) -> Result<AmazonS3Builder> {
    let lower = name.to_lowercase();
    if lower == "path_style" {
        let path_style = parse_bool(name, value)?;
        return Ok(builder.with_virtual_hosted_style_request(!path_style));
    }
    let key: AmazonS3ConfigKey = lower.parse().map_err(|_| {
        let known = ["endpoint", "region", "access_key_id", "secret_access_key", "session_token", "allow_http"];
        let known = known.into_iter().chain(OWN_OPTIONS);
        Error::invalid(lakemill_base::unknown("storage option", name, known))
    })?;
    if matches!(value, "true" | "false") || lower != "allow_http" {
        return Ok(builder.with_config(key, value));
    }
    let allowed = parse_bool(name, value)?;
    Ok(builder.with_config(key, allowed.to_string()))
}

fn parse_bool(name: &str, value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Error::invalid(format!("storage option '{name}' is '{value}'; use true or false"))),
    }
}
