//! Rotary position embedding (Su et al., RoFormer, 2021): pairs of a head's elements turn by angles that grow with the
//! position.

/// Which elements of a head turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// `2i` with `2i + 1`.
    Neighbours,
    /// `i` with `i + dimensions / 2`.
    Halves,
}

/// Cosines and sines for some positions.
#[derive(Debug, Default)]
pub struct Rotation {
    /// `[positions, dimensions / 2]`.
    cosines: Vec<f32>,
    sines: Vec<f32>,
    half: usize,
}

impl Rotation {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the angles of `positions` anew. `frequencies` are radians per position of each pair, `[dimensions / 2]`;
    /// `magnitude` multiplies cosines and sines (1, or YaRN's attention factor).
    pub fn fill(&mut self, positions: impl IntoIterator<Item = usize>, frequencies: &[f64], magnitude: f32) {
        self.cosines.clear();
        self.sines.clear();
        self.half = frequencies.len();
        for position in positions {
            for frequency in frequencies {
                let (sine, cosine) = (position as f64 * frequency).sin_cos();
                self.cosines.push(cosine as f32 * magnitude);
                self.sines.push(sine as f32 * magnitude);
            }
        }
    }

    /// Turns one head at the position that was the `index`th. Elements behind the rotated dimensions stay.
    ///
    /// # Panics
    /// When there is no such position or the head is shorter than the rotated dimensions.
    pub fn turn(&self, index: usize, pairs: Pairs, head: &mut [f32]) {
        let cosines = &self.cosines[index * self.half..][..self.half];
        let sines = &self.sines[index * self.half..][..self.half];
        match pairs {
            Pairs::Neighbours => {
                let (head, _) = head[..2 * self.half].as_chunks_mut::<2>();
                for ((pair, cosine), sine) in head.iter_mut().zip(cosines).zip(sines) {
                    *pair = turned(pair[0], pair[1], *cosine, *sine);
                }
            }
            Pairs::Halves => {
                let (first, second) = head[..2 * self.half].split_at_mut(self.half);
                for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                    [*a, *b] = turned(*a, *b, *cosine, *sine);
                }
            }
        }
    }
}

#[inline(always)]
fn turned(a: f32, b: f32, cosine: f32, sine: f32) -> [f32; 2] {
    [a * cosine - b * sine, a * sine + b * cosine]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_in_both_pairings() {
        let quarter = std::f64::consts::FRAC_PI_2;
        let mut rotation = Rotation::new();
        rotation.fill([0, 1], &[quarter, 2.0 * quarter], 1.0);
        let near = |got: [f32; 5], want: [f32; 5]| got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-6);
        let mut head = [1.0, 2.0, 3.0, 4.0, 5.0];
        rotation.turn(0, Pairs::Neighbours, &mut head);
        assert_eq!(head, [1.0, 2.0, 3.0, 4.0, 5.0]);
        rotation.turn(1, Pairs::Neighbours, &mut head);
        assert!(near(head, [-2.0, 1.0, -3.0, -4.0, 5.0]), "{head:?}");
        let mut head = [1.0, 2.0, 3.0, 4.0, 5.0];
        rotation.turn(1, Pairs::Halves, &mut head);
        assert!(near(head, [-3.0, -2.0, 1.0, -4.0, 5.0]), "{head:?}");
    }
}
