//! The best split of a leaf, found from its histogram.
//!
//! Gains are XGBoost's (Chen and Guestrin, KDD 2016, equation 7, without the factor 1/2): what the split takes off
//! twice the loss. Rows with a missing value go to the side where they gain more; where a leaf has none of them, to
//! the heavier side.

use super::dataset::Layout;
use super::histogram::Sums;
use super::params::TreeParams;

/// Up to so many categories, each is tried alone against the rest, without further regularisation.
const ONE_AGAINST_REST_MAX: usize = 4;

/// A gain below this share of the sides' own terms is rounding.
const GAIN_SHARE_MIN: f64 = 1e-9;

/// A sum of rounded derivatives may be short of the true one by this share.
const WEIGHT_SHARE: f64 = 1.0 - 1e-6;

/// A set of bins.
pub(super) type BinSet = [u64; 4];

#[inline]
pub(super) fn contains(set: &BinSet, bin: u8) -> bool {
    set[usize::from(bin >> 6)] >> (bin & 63) & 1 == 1
}

fn insert(set: &mut BinSet, bin: usize) {
    set[bin >> 6] |= 1 << (bin & 63);
}

/// A split of a leaf in two.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Split {
    pub(super) column: usize,
    /// For numbers, the last bin that goes left; `None` for categories.
    pub(super) last_left: Option<u8>,
    /// The bins that go left, the one for missing values included.
    pub(super) left_bins: BinSet,
    pub(super) missing_left: bool,
    pub(super) gain: f64,
    pub(super) left: Sums,
}

/// What gains depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scoring {
    pub(super) l1: f64,
    pub(super) l2: f64,
    pub(super) weight_min: f64,
    pub(super) units: [f64; 2],
    smoothing: f64,
    category_l2: f64,
    gain_min: f64,
}

impl Scoring {
    pub(super) fn new(params: &TreeParams, units: [f64; 2]) -> Self {
        Self {
            l1: params.l1_reg,
            l2: params.l2_reg,
            weight_min: params.min_child_weight * WEIGHT_SHARE,
            units,
            smoothing: params.category_smoothing,
            category_l2: params.category_l2_reg,
            gain_min: params.min_split_loss,
        }
    }

    /// Sums in their own unit.
    #[inline(always)]
    pub(super) fn scaled(&self, sums: Sums) -> (f64, f64) {
        (sums[0] as f64 * self.units[0], sums[1] as f64 * self.units[1])
    }

    #[inline(always)]
    fn term(&self, first: f64, second: f64, l2: f64) -> f64 {
        let shrunk = (first.abs() - self.l1).max(0.0);
        shrunk * shrunk / (second + l2)
    }

    /// The value of a leaf with these sums, before the learning rate.
    pub(super) fn leaf_value(&self, first: f64, second: f64) -> f64 {
        let denominator = second + self.l2;
        if denominator <= 0.0 {
            return 0.0;
        }
        -first.signum() * (first.abs() - self.l1).max(0.0) / denominator
    }

    /// Whether both sides of some split of a leaf with these sums may be heavy enough.
    pub(super) fn may_split(&self, sums: Sums) -> bool {
        let (_, second) = self.scaled(sums);
        second > 0.0 && second >= 2.0 * self.weight_min
    }
}

/// The best split over `columns`, if any gains.
pub(super) fn best(
    layout: &Layout,
    histogram: &[Sums],
    columns: &[usize],
    total: Sums,
    scoring: &Scoring,
) -> Option<Split> {
    let mut best: Option<Split> = None;
    let mut room = Room::default();
    for column in columns {
        let Some(place) = &layout.places[*column] else { continue };
        let bins = &layout.bins[*column];
        let slots = &histogram[place.offset..place.offset + bins.slots()];
        let least = best.as_ref().map_or(0.0, |split| split.gain);
        let found = match &bins.cuts {
            super::bins::Cuts::Numeric { .. } => room.numeric(slots, total, scoring, least),
            super::bins::Cuts::Categorical { .. } => room.categorical(slots, total, scoring, least),
        };
        if let Some(found) = found {
            best = Some(Split { column: *column, ..found });
        }
    }
    best
}

/// Room for one column's candidates.
struct Room {
    first: [f64; 256],
    second: [f64; 256],
    gains: [f64; 256],
    order: Vec<(f64, usize)>,
}

impl Default for Room {
    fn default() -> Self {
        Self { first: [0.0; 256], second: [0.0; 256], gains: [0.0; 256], order: Vec::new() }
    }
}

impl Room {
    /// Gains of the first `count` candidates, whose left sums stand in `first` and `second`; the best that is above
    /// `least`.
    fn best_of(&mut self, count: usize, total: Sums, scoring: &Scoring, l2: f64, least: f64) -> Option<(usize, f64)> {
        let (first, second) = scoring.scaled(total);
        let of_parent = scoring.term(first, second, scoring.l2);
        let weight_min = scoring.weight_min.max(f64::MIN_POSITIVE);
        let candidates = self.first[..count].iter().zip(&self.second[..count]);
        for ((left_first, left_second), gain) in candidates.zip(&mut self.gains) {
            let (right_first, right_second) = (first - left_first, second - left_second);
            let sides = scoring.term(*left_first, *left_second, l2) + scoring.term(right_first, right_second, l2);
            let gained = sides - of_parent;
            let valid = (*left_second >= weight_min) & (right_second >= weight_min) & (gained > sides * GAIN_SHARE_MIN);
            *gain = if valid { gained } else { 0.0 };
        }
        let mut best = None;
        let mut most = least;
        for (at, gain) in self.gains[..count].iter().enumerate() {
            if *gain > most {
                most = *gain;
                best = Some((at, *gain));
            }
        }
        best.filter(|(_, gain)| *gain >= scoring.gain_min)
    }

    fn numeric(&mut self, slots: &[Sums], total: Sums, scoring: &Scoring, least: f64) -> Option<Split> {
        let values = slots.len() - 1;
        let missing = slots[values];
        let has_missing = missing != [0, 0];
        // With missing values on the right, all numbers may go left.
        let right_count = if has_missing { values } else { values - 1 };
        self.prefixes(&slots[..right_count], [0, 0], scoring);
        let mut found = self.best_of(right_count, total, scoring, scoring.l2, least).map(|best| (best, false));
        if has_missing {
            let least = found.map_or(least, |((_, gain), _)| gain);
            self.prefixes(&slots[..values - 1], missing, scoring);
            let left = self.best_of(values - 1, total, scoring, scoring.l2, least);
            found = left.map(|best| (best, true)).or(found);
        }
        let ((at, gain), on_left) = found?;
        let mut left = if on_left { missing } else { [0, 0] };
        let mut left_bins = [0; 4];
        for (bin, sums) in slots[..=at].iter().enumerate() {
            left[0] += sums[0];
            left[1] += sums[1];
            insert(&mut left_bins, bin);
        }
        let missing_left = if has_missing { on_left } else { left[1] >= total[1] - left[1] };
        if missing_left {
            insert(&mut left_bins, values);
        }
        Some(Split { column: 0, last_left: Some(at as u8), left_bins, missing_left, gain, left })
    }

    /// Sums of the first 1, 2, .. bins, on top of `start`.
    fn prefixes(&mut self, slots: &[Sums], start: Sums, scoring: &Scoring) {
        let mut sums = start;
        for ((slot, first), second) in slots.iter().zip(&mut self.first).zip(&mut self.second) {
            sums[0] += slot[0];
            sums[1] += slot[1];
            (*first, *second) = scoring.scaled(sums);
        }
    }

    /// Categories in the order of their smoothed mean derivative; a best cut of that order is a best subset (Fisher,
    /// "On grouping for maximum homogeneity", JASA 1958). Missing values are one category among the others.
    fn categorical(&mut self, slots: &[Sums], total: Sums, scoring: &Scoring, least: f64) -> Option<Split> {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(slots.iter().enumerate().filter(|(_, sums)| **sums != [0, 0]).map(|(bin, sums)| {
            let (first, second) = scoring.scaled(*sums);
            (first / (second + scoring.smoothing).max(f64::MIN_POSITIVE), bin)
        }));
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let one_against_rest = order.len() <= ONE_AGAINST_REST_MAX;
        let l2 = scoring.l2 + if one_against_rest { 0.0 } else { scoring.category_l2 };
        let count = if one_against_rest && order.len() > 2 { order.len() } else { order.len().saturating_sub(1) };
        let mut sums = [0, 0];
        for (at, (_, bin)) in order[..count].iter().enumerate() {
            let alone = if one_against_rest { [0, 0] } else { sums };
            sums = [alone[0] + slots[*bin][0], alone[1] + slots[*bin][1]];
            (self.first[at], self.second[at]) = scoring.scaled(sums);
        }
        let found = self.best_of(count, total, scoring, l2, least);
        let split = found.map(|(at, gain)| {
            let chosen = if one_against_rest { &order[at..=at] } else { &order[..=at] };
            subset(slots, total, &order, chosen, gain)
        });
        self.order = order;
        split
    }
}

/// The split that sends `chosen` left. Categories that the leaf does not have follow the heavier side.
fn subset(slots: &[Sums], total: Sums, present: &[(f64, usize)], chosen: &[(f64, usize)], gain: f64) -> Split {
    let mut left = [0, 0];
    for (_, bin) in chosen {
        left[0] += slots[*bin][0];
        left[1] += slots[*bin][1];
    }
    let mut left_bins = [0; 4];
    if left[1] >= total[1] - left[1] {
        (0..slots.len()).for_each(|bin| insert(&mut left_bins, bin));
        for (_, bin) in present {
            left_bins[bin >> 6] &= !(1 << (bin & 63));
        }
    }
    chosen.iter().for_each(|(_, bin)| insert(&mut left_bins, *bin));
    let missing_left = contains(&left_bins, (slots.len() - 1) as u8);
    Split { column: 0, last_left: None, left_bins, missing_left, gain, left }
}
