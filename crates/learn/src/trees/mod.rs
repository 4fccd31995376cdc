//! Gradient-boosted decision trees.
