//! `GET /openapi.json`: what this server answers, for tools that make clients of it; `language`: OpenAI's part of it.

mod language;

use axum::Json;
use serde_json::{Value, json};

pub(super) async fn document() -> Json<Value> {
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lakemill",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "SQL over the lake, predictions of its models, and language models by OpenAI's API.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        // Nothing, where nobody is asked who they are; or a token.
        "security": [{}, { "token": [] }],
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "responses": responses(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    }))
}

fn paths() -> Value {
    joined(joined(statement_paths(), language::paths()), login_paths())
}

fn login_paths() -> Value {
    json!({
        "/v1/login": { "post": {
            "operationId": "login",
            "summary": "A token for a password, which lasts for 12 hours",
            "security": [],
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": reference("Credentials") } },
            },
            "responses": { "200": answer("The token", "Login"), "default": problem() },
        } },
        "/v1/logout": { "post": {
            "operationId": "logout",
            "summary": "Ends what /v1/login began",
            "responses": { "200": answer("Done", "Done"), "default": problem() },
        } },
        "/v1/session": { "get": {
            "operationId": "session",
            "summary": "Who asks",
            "responses": { "200": answer("The user; null where nobody logs in", "Session"), "default": problem() },
        } },
    })
}

fn statement_paths() -> Value {
    json!({
        "/v1/sql": { "post": {
            "operationId": "sql",
            "summary": "Run SQL; the rows of the last statement come back",
            "requestBody": { "required": true, "content": {
                "application/json": { "schema": reference("Query") },
                "application/sql": { "schema": { "type": "string" } },
            } },
            "responses": {
                "200": { "description": "Rows, or what a statement without rows has done", "content": {
                    "application/x-ndjson": { "schema": { "type": "string" } },
                    "application/vnd.apache.arrow.stream": { "schema": { "type": "string", "format": "binary" } },
                    "application/json": { "schema": reference("Done") },
                } },
                "default": problem(),
            },
        } },
        "/v1/models": { "get": {
            "operationId": "listModels",
            "summary": "The newest version of every model",
            "responses": { "200": answer("The models", "Models"), "default": problem() },
        } },
        "/v1/models/{name}": { "get": {
            "operationId": "describeModel",
            "summary": "The columns that a model needs and gives; what a language model is",
            "parameters": [name()],
            "responses": { "200": model_answer(), "default": problem() },
        } },
        "/v1/models/{name}:predict": { "post": {
            "operationId": "predict",
            "summary": "Predict rows; the model's own TRANSFORM makes the features",
            "parameters": [name()],
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": reference("Instances") } },
            },
            "responses": { "200": answer("A prediction for each instance", "Predictions"), "default": problem() },
        } },
        "/openapi.json": { "get": {
            "operationId": "openapi",
            "summary": "This description",
            "responses": { "200": {
                "description": "OpenAPI 3.1",
                "content": { "application/json": { "schema": { "type": "object" } } },
            } },
        } },
        "/metrics": { "get": plain("metrics", "Counters in Prometheus's format") },
        "/healthz": { "get": plain("healthz", "The process lives") },
        "/readyz": { "get": plain("readyz", "The catalog answers and statements are taken") },
    })
}

fn schemas() -> Value {
    joined(joined(sql_schemas(), language::schemas()), model_schemas())
}

/// The entries of both.
fn joined(mut some: Value, others: Value) -> Value {
    if let (Some(all), Value::Object(others)) = (some.as_object_mut(), others) {
        all.extend(others);
    }
    some
}

fn sql_schemas() -> Value {
    json!({
        "Query": {
            "type": "object",
            "required": ["sql"],
            "additionalProperties": false,
            "properties": {
                "sql": { "type": "string", "examples": ["SELECT carrier, count(*) FROM flights GROUP BY 1"] },
                "parameters": {
                    "type": "array",
                    "description": "Values for $1, $2 .. of one statement",
                    "items": { "type": ["string", "number", "boolean", "null"] },
                },
            },
        },
        "Done": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": { "type": "string" },
                "rows": { "type": ["integer", "null"] },
                "details": { "type": "object", "additionalProperties": { "type": "string" } },
            },
        },
        "Credentials": {
            "type": "object",
            "required": ["user", "password"],
            "additionalProperties": false,
            "properties": { "user": { "type": "string" }, "password": { "type": "string", "format": "password" } },
        },
        "Login": {
            "type": "object",
            "required": ["user", "token"],
            "properties": { "user": { "type": "string" }, "token": { "type": "string" } },
        },
        "Session": {
            "type": "object",
            "required": ["user"],
            "properties": { "user": { "type": ["string", "null"] } },
        },
        "Problem": {
            "type": "object",
            "required": ["error"],
            "properties": { "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": { "type": "string", "examples": ["not_found"] },
                    "message": { "type": "string" },
                    "line": { "type": "integer" },
                    "column": { "type": "integer" },
                },
            } },
        },
    })
}

fn model_schemas() -> Value {
    let column = json!({
        "type": "object",
        "required": ["name", "type"],
        "properties": { "name": { "type": "string" }, "type": { "type": "string", "examples": ["BIGINT"] } },
    });
    json!({
        "Models": {
            "type": "object",
            "required": ["object", "data", "models"],
            "properties": { "object": { "const": "list" }, "data": language::list(), "models": { "type": "array", "items": {
                "type": "object",
                "required": ["name", "version", "type"],
                "properties": {
                    "name": { "type": "string" },
                    "version": { "type": "integer" },
                    "type": { "type": "string", "examples": ["BOOSTED_TREE_CLASSIFIER"] },
                },
            } } },
        },
        "Model": {
            "type": "object",
            "required": ["name", "version", "input", "output"],
            "properties": {
                "name": { "type": "string" },
                "version": { "type": "integer" },
                "input": { "type": "array", "items": column },
                "output": { "type": "array", "items": column },
            },
        },
        "Instances": {
            "type": "object",
            "required": ["instances"],
            "additionalProperties": false,
            "properties": {
                "instances": { "type": "array", "minItems": 1, "items": { "type": "object" } },
                "version": { "type": "integer", "description": "The newest unless told otherwise" },
                "threshold": { "type": "number", "description": "Of a classifier of two classes" },
                "lookup": reference("Lookup"),
            },
        },
        "Lookup": {
            "type": "object",
            "description": "A table that has the columns which instances lack",
            "required": ["table", "key"],
            "additionalProperties": false,
            "properties": {
                "table": { "type": "string", "examples": ["planes"] },
                "key": { "type": "array", "minItems": 1, "items": { "type": "string" }, "examples": [["tailnum"]] },
            },
        },
        "Predictions": {
            "type": "object",
            "required": ["predictions", "model_name", "model_version"],
            "properties": {
                "predictions": { "type": "array", "items": { "type": "object" } },
                "model_name": { "type": "string" },
                "model_version": { "type": "integer" },
            },
        },
    })
}

fn responses() -> Value {
    json!({ "Problem": {
        "description": "What was wrong, and what would be right",
        "content": { "application/json": { "schema": reference("Problem") } },
    } })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn problem() -> Value {
    json!({ "$ref": "#/components/responses/Problem" })
}

fn name() -> Value {
    json!({
        "name": "name",
        "in": "path",
        "required": true,
        "description": "The model, with its namespace before it or in the default one",
        "schema": { "type": "string" },
    })
}

fn answer(description: &str, schema: &str) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": reference(schema) } } })
}

fn model_answer() -> Value {
    let schema = json!({ "oneOf": [reference("Model"), reference("LanguageModel")] });
    json!({ "description": "The model", "content": { "application/json": { "schema": schema } } })
}

fn plain(operation: &str, summary: &str) -> Value {
    json!({
        "operationId": operation,
        "summary": summary,
        "responses": { "200": {
            "description": summary,
            "content": { "text/plain": { "schema": { "type": "string" } } },
        } },
    })
}
