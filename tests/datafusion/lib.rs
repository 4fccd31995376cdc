//! Empty: this package only names the crate whose files the tests read.
