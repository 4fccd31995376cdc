//! Object stores: the local folder and `s3://`.
