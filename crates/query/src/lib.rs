//! The session: SQL over the lake, models as operators of a query plan.
