//! Pipelines: folders of SQL steps that run when what they depend on has changed, and the reports of their runs.
