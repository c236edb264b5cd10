//! Sums of decision trees from JSON, as functions of 0/1 vectors.
use std::collections::BTreeMap;

/// A model as `scripts/make_tree_models.py` writes it: `base + scale · Σ` of one leaf per tree.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct TreeModel {
    /// Name of the data.
    pub name: String,
    /// Names of the features.
    pub features: Vec<String>,
    /// What a feature is when it is masked; empty when the inputs are 0 and 1 themselves.
    #[serde(default)]
    pub background: Vec<f64>,
    /// Rows of the data.
    #[serde(default)]
    pub instances: Vec<Vec<f64>>,
    base: f64,
    scale: f64,
    trees: Vec<Tree>,
}

#[derive(Clone, Debug, serde::Deserialize)]
struct Tree {
    /// −1 for a leaf.
    feature: Vec<i64>,
    threshold: Vec<f64>,
    left: Vec<i64>,
    right: Vec<i64>,
    value: Vec<f64>,
}

/// A model seen from one instance: bit `i` of the query says whether feature `i` is there.
#[derive(Clone, Debug)]
pub struct Game<'a> {
    model: &'a TreeModel,
    /// `[absent, present]` for each feature.
    values: Vec<[f64; 2]>,
}

impl TreeModel {
    /// Reads a model.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let model: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let n = model.features.len();
        if n == 0 || n > 64 {
            return Err(format!("{n} features, allowed is 1 to 64"));
        }
        if !model.instances.is_empty() && model.background.len() != n {
            return Err(format!("{} background values for {n} features", model.background.len()));
        }
        if let Some(at) = model.instances.iter().position(|row| row.len() != n) {
            return Err(format!("instance {at} has {} values for {n} features", model.instances[at].len()));
        }
        for (t, tree) in model.trees.iter().enumerate() {
            let nodes = tree.feature.len();
            let lengths = [tree.threshold.len(), tree.left.len(), tree.right.len(), tree.value.len()];
            // Children come after their parent: every walk ends.
            let child = |at: usize, c: i64| c > at as i64 && c < nodes as i64;
            let fits = lengths == [nodes; 4]
                && nodes > 0
                && (0..nodes).all(|at| {
                    let f = tree.feature[at];
                    f < 0 || (f < n as i64 && child(at, tree.left[at]) && child(at, tree.right[at]))
                });
            if !fits {
                return Err(format!("tree {t} is not a tree over {n} features"));
            }
        }
        Ok(model)
    }

    /// The model as a game of an instance, or of its binary inputs when there are no instances.
    pub fn game(&self, instance: usize) -> Game<'_> {
        let values = if self.instances.is_empty() {
            vec![[0.0, 1.0]; self.features.len()]
        } else {
            let row = &self.instances[instance];
            self.background.iter().zip(row).map(|(&absent, &present)| [absent, present]).collect()
        };
        Game { model: self, values }
    }
}

impl Game<'_> {
    /// The score with the features present whose bits are set.
    pub fn score(&self, m: u64) -> f64 {
        let leaf = |tree: &Tree| {
            let mut node = 0;
            while let Ok(f) = usize::try_from(tree.feature[node]) {
                let x = self.values[f][(m >> f & 1) as usize];
                node = if x <= tree.threshold[node] { tree.left[node] } else { tree.right[node] } as usize;
            }
            tree.value[node]
        };
        self.model.base + self.model.scale * self.model.trees.iter().map(leaf).sum::<f64>()
    }

    /// The spectrum, from the trees: a leaf is the product of `(1 ± χ)/2` over the features that lead to it. Index ascending;
    /// what is below `1e-12` of the largest is rounding and left out.
    pub fn spectrum(&self) -> Vec<(u64, f64)> {
        let mut sums = BTreeMap::from([(0, self.model.base)]);
        for tree in &self.model.trees {
            // (node, features whose presence is decided, terms of the product)
            let mut open = vec![(0_usize, 0_u64, 0_u64, vec![(0_u64, self.model.scale)])];
            while let Some((node, decided, present, terms)) = open.pop() {
                let Ok(f) = usize::try_from(tree.feature[node]) else {
                    terms.into_iter().for_each(|(k, v)| *sums.entry(k).or_insert(0.0) += v * tree.value[node]);
                    continue;
                };
                let bit = 1_u64 << f;
                let goes = |m: usize| {
                    (if self.values[f][m] <= tree.threshold[node] { tree.left[node] } else { tree.right[node] })
                        as usize
                };
                if goes(0) == goes(1) || decided & bit != 0 {
                    open.push((goes(usize::from(present & bit != 0)), decided, present, terms));
                    continue;
                }
                for m in [0, 1] {
                    // (−1)^m is +1 for an absent feature.
                    let side = if m == 0 { 0.5 } else { -0.5 };
                    let both = terms.iter().flat_map(|&(k, v)| [(k, 0.5 * v), (k ^ bit, side * v)]).collect();
                    open.push((goes(m), decided | bit, present | if m == 1 { bit } else { 0 }, both));
                }
            }
        }
        let largest = sums.values().fold(0.0_f64, |m, v| m.max(v.abs()));
        sums.into_iter().filter(|c| c.1.abs() > 1e-12 * largest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spectrum_of_a_game_gives_its_scores() {
        for name in ["trees_wine.json.gz", "trees_breast_cancer_binary.json.gz"] {
            let model = TreeModel::parse(&crate::fixtures::text(name)).unwrap();
            let game = model.game(0);
            let spectrum = game.spectrum();
            for m in [0_u64, 1, 77, 5_000, 0x1fff_ffff] {
                let m = m & ((1 << model.features.len()) - 1);
                let sum: f64 =
                    spectrum.iter().map(|&(k, v)| if (m & k).count_ones().is_multiple_of(2) { v } else { -v }).sum();
                assert!((sum - game.score(m)).abs() < 1e-9, "{name} {m}");
            }
        }
        assert!(TreeModel::parse("{}").is_err());
    }
}
