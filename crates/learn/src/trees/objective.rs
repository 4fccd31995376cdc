//! Losses and their derivatives.

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// Log-loss of two classes; the target is 0 or 1, a score is a log-odds.
    BinaryLogistic,
    /// Log-loss of several classes; the target is the class's number, there is a score per class.
    Softmax {
        /// Number of classes.
        classes: u32,
    },
    /// Half the squared error.
    SquaredError,
}

impl Objective {
    /// Scores per row.
    pub const fn outputs(self) -> usize {
        match self {
            Self::Softmax { classes } => classes as usize,
            Self::BinaryLogistic | Self::SquaredError => 1,
        }
    }
}
