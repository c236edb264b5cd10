//! The stages of a schedule: how many bins and offsets are asked next.
use super::{GROWTH, SMALL, STEP, Shape};
use crate::decode::lists;
use crate::field::bits::Bits;
use crate::options::Decoder;
use crate::plan::sizes;
use crate::plan::spec::{self, PlanSpec};

/// The plan of a stage; the dense transform when there is no shape or the shape would ask for everything.
pub(super) fn stage_spec(base: &PlanSpec, shape: Option<Shape>) -> PlanSpec {
    let mut spec = base.clone();
    if spec.decoder == Decoder::Surrogate {
        spec.decoder = Decoder::Heredity;
    }
    let Some(shape) = shape else {
        spec::into_dense(&mut spec);
        return spec;
    };
    if matches!(spec.decoder, Decoder::JointList | Decoder::ExhaustiveLists) {
        spec.anchors = anchors(base);
    }
    (spec.group_bits, spec.group_offsets, spec.points) = (shape.bits, shape.offsets, shape.points);
    let asked = sizes::asked(&spec.group_bits, &spec.group_offsets) + spec.points as u128;
    if spec.variables < 28 && asked >= sizes::points(spec.variables) {
        spec::into_dense(&mut spec);
    }
    spec
}

/// Anchors of nested offsets: enough to determine a candidate at the first stage, where one word of partners allows it.
pub(super) fn anchors(base: &PlanSpec) -> usize {
    let exhaustive = base.decoder == Decoder::ExhaustiveLists;
    let least = sizes::least_offsets(base.variables, FIRST_BITS, exhaustive);
    (least.next_multiple_of(STEP)).clamp(32, sizes::most_offsets(exhaustive) / 2)
}

pub(super) const FIRST_BITS: usize = 3;

/// All stages, first to last.
pub(super) fn shapes<I: Bits>(base: &PlanSpec) -> Vec<Shape> {
    let (n, k) = (base.variables, base.sparsity);
    let known = base.sparsity_known;
    let from_pair = |(bits, offsets): sizes::Groups| Shape { bits, offsets, points: 0 };
    // Bins beyond what the largest sparsity needs, twice over, would not help.
    let most_bits = |factor: usize| (usize::BITS - (factor * k).leading_zeros()) as usize + 1;
    match base.decoder {
        Decoder::Dense | Decoder::Auto => Vec::new(),
        Decoder::SignBits => {
            let start = if known { (k / 4).max(1).ilog2() as usize } else { 2 };
            let largest = n.min(most_bits(1)).min(30);
            sizes::staircase(start.clamp(1, largest), largest)
                .map(|bits| from_pair((bits.to_vec(), bits.iter().map(|b| n - b + 1).collect())))
                .collect()
        }
        Decoder::BchLists => {
            let rank = lists::bch_rank::<I>(n, base.degree()).unwrap_or(2);
            let start = if known { (k / 8).max(1).ilog2() as usize } else { 2 };
            let largest = (rank - 1).min(most_bits(1)).min(30);
            sizes::staircase(start.clamp(1, largest), largest)
                .map(|bits| from_pair((bits.to_vec(), bits.iter().map(|b| rank - b + 1).collect())))
                .collect()
        }
        Decoder::Spright => {
            let shape = |k: usize, factor: usize| {
                let (bits, offsets) = sizes::spright(n, k, None);
                let block = n - bits[0] + 1;
                let offsets = vec![offsets[0] / block * block * factor; 3];
                Shape { bits, offsets, points: 0 }
            };
            // An unknown sparsity begins small: a stage has three questions for every coefficient and variable it is for.
            let first = if known { k } else { 1 };
            let smaller = std::iter::successors(Some(first), |k| Some(k * SMALL)).take_while(|small| *small < k);
            let mut out: Vec<Shape> = smaller.map(|small| shape(small, 1)).collect();
            out.dedup();
            out.extend((1..=4).map(|factor| shape(k, factor)));
            out
        }
        Decoder::JointList | Decoder::ExhaustiveLists => {
            let exhaustive = base.decoder == Decoder::ExhaustiveLists;
            let anchors = anchors(base);
            let largest = spec::deepest_bins(n, anchors).min(most_bits(4)).min(24);
            if largest < FIRST_BITS {
                return Vec::new();
            }
            let groups = sizes::joint_count(n, FIRST_BITS, exhaustive);
            let start = if known { (k / 8).max(1).ilog2() as usize } else { FIRST_BITS };
            (start.clamp(FIRST_BITS, largest)..=largest)
                .flat_map(|b| (anchors..2 * anchors).step_by(STEP).map(move |p| (b, p)))
                .filter(|&(b, p)| p >= sizes::least_offsets(n, b, exhaustive).min(2 * anchors - STEP))
                .map(|(b, p)| from_pair((vec![b; groups], vec![p; groups])))
                .collect()
        }
        Decoder::Heredity | Decoder::Surrogate => {
            let all = sizes::points(n);
            let mut at = if known { (2 * k + 2 * n).max(64) as f64 } else { (4 * n).max(64) as f64 };
            let most = (sizes::heredity(n, k, None) as f64) * 8.0;
            let mut out = Vec::new();
            while at < most && (at as u128) < all {
                out.push(Shape { bits: Vec::new(), offsets: Vec::new(), points: at as usize });
                at *= GROWTH;
            }
            out
        }
    }
}
