//! Estimators as folds over Arrow: preprocessing, linear and logistic regression, boosted trees, metrics.
//!
//! **Architecture invariant:** nothing here knows of SQL, DataFusion, files or async code.
