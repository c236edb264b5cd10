//! A planner under way, as bytes.
use samplewise_linalg::envelope::{self, Kind, Reader, Writer};
use samplewise_linalg::{ArgumentError, Ending, LinalgError, Matrix, Seconds, Summary};

use super::Planner;
use crate::Error;
use crate::answer::{Round, Route};
use crate::cost::{Budget, CostModel};
use crate::options::Options;
use crate::relevance::{Relevance, Strategy};
use crate::representation::{FitReport, Representation};
use crate::task::TaskData;

const FORMAT: u16 = 1;

impl Planner {
    /// Everything that the planner knows, in the [`envelope`] with its checksum: one that is read back asks, learns and
    /// answers as this one would.
    ///
    /// # Errors
    /// [`Error::Argument`] for a [`CostModel::Custom`], which is code.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut out = Writer::default();
        write_options(&mut out, &self.options);
        match self.budget {
            Budget::Samples(n) => [0, n as u64].into_iter().for_each(|w| out.word(w)),
            Budget::Cost(c) => {
                out.word(1);
                out.number(c);
            }
            Budget::Risk { target, most } => {
                out.word(2);
                out.number(target);
                out.count(most);
            }
        }
        for tasks in [&self.targets, &self.tasks] {
            out.count(tasks.len());
            tasks.iter().for_each(|t| out.bytes(&t.to_bytes()));
        }
        self.costs.iter().try_for_each(|c| write_cost(&mut out, c))?;
        out.counts(&self.available);
        out.counts(&[self.round, self.iterations]);
        out.counts(&self.goal);
        out.numbers(&self.shares);
        out.number(self.until);
        out.flag(self.fit.is_some());
        if let Some(fit) = &self.fit {
            write_matrix(&mut out, &fit.basis);
            write_matrix(&mut out, &fit.weights);
            [fit.loss, fit.noise].into_iter().for_each(|v| out.number(v));
            out.text(fit.report.ending.name());
            out.count(fit.report.iterations);
        }
        out.count(self.history.len());
        self.history.iter().for_each(|round| write_round(&mut out, round));
        Ok(envelope::seal(Kind::Planner, FORMAT, 0, &out.0))
    }

    /// Reads what [`Planner::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::Data`] for anything else: another kind or format, a wrong checksum, parts that do not fit each other;
    /// [`Error::Argument`] for options out of their ranges.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (counted, body) = envelope::open(Kind::Planner, FORMAT, bytes)?;
        let mut body = Reader::new(Kind::Planner, body);
        if counted != 0 {
            return Err(body.bad("a size is out of range").into());
        }
        let options = read_options(&mut body)?;
        let budget = match body.word()? {
            0 => Budget::Samples(body.count()?),
            1 => Budget::Cost(body.number()?),
            2 => Budget::Risk { target: body.number()?, most: body.count()? },
            _ => return Err(body.bad("a budget is unknown").into()),
        };
        let [targets, tasks] = [read_tasks(&mut body)?, read_tasks(&mut body)?];
        let costs: Vec<CostModel> = (0..tasks.len()).map(|_| read_cost(&mut body)).collect::<Result<_, _>>()?;
        // What a new planner is checked for holds of a stored one too.
        let mut planner = Self::new(tasks.len(), targets, budget, &options)?.with_costs(costs)?;
        let features = planner.targets[0].features();
        if tasks.iter().any(|t| t.features() != features) {
            return Err(body.bad("a task has other features").into());
        }
        planner.tasks = tasks;
        let counts = body.counts()?;
        planner.available = counts;
        let counts = body.counts()?;
        let &[round, iterations] = &counts[..] else { return Err(body.bad("a count is missing").into()) };
        (planner.round, planner.iterations) = (round, iterations);
        (planner.goal, planner.shares, planner.until) = (body.counts()?, body.numbers()?, body.finite()?);
        let count = planner.tasks.len();
        let fits = |length: usize| length == 0 || length == count;
        if planner.available.len() != count || !fits(planner.goal.len()) || planner.shares.len() != planner.goal.len() {
            return Err(body.bad("a list is not of all tasks").into());
        }
        if !planner.shares.iter().all(|s| (0.0..=1.0 + 1e-9).contains(s)) {
            return Err(body.bad("a share is none").into());
        }
        if body.flag()? {
            let (basis, weights) = (read_matrix(&mut body)?, read_matrix(&mut body)?);
            let (loss, noise) = (body.finite()?, body.finite()?);
            let (ending, iterations) = (read_ending(&mut body)?, body.count()?);
            let (d, k) = (basis.rows(), basis.columns());
            if d != features || k == 0 || k > d.min(count) || weights.rows() != k || weights.columns() != count {
                return Err(body.bad("the representation does not fit the tasks").into());
            }
            let report = FitReport { ending, iterations, seconds: Seconds::default() };
            planner.fit = Some(Representation { basis, weights, loss, noise, report });
        }
        // Four lists and four numbers at least.
        let rounds = body.length(64)?;
        planner.history = (0..rounds).map(|_| read_round(&mut body, count)).collect::<Result<_, _>>()?;
        body.end()?;
        Ok(planner)
    }
}

fn write_options(out: &mut Writer, o: &Options) {
    out.flag(o.dimension.is_some());
    out.count(o.dimension.unwrap_or(0));
    write_strategy(out, o.strategy);
    [o.rounds, o.floor].into_iter().for_each(|n| out.count(n));
    [o.exploration, o.ridge, o.source_ridge].into_iter().for_each(|v| out.number(v));
    out.optional(o.lambda);
    out.word(o.seed);
}

fn read_options(body: &mut Reader<'_>) -> Result<Options, LinalgError> {
    let (some, dimension) = (body.flag()?, body.count()?);
    let strategy = read_strategy(body)?;
    let (rounds, floor) = (body.count()?, body.count()?);
    let [exploration, ridge, source_ridge] = [body.number()?, body.number()?, body.number()?];
    let (lambda, seed) = (body.optional()?, body.word()?);
    let dimension = some.then_some(dimension);
    Ok(Options { dimension, strategy, rounds, exploration, floor, ridge, source_ridge, lambda, seed })
}

fn write_strategy(out: &mut Writer, strategy: Strategy) {
    let (kind, count) = match strategy {
        Strategy::Uniform => (0, 0),
        Strategy::L2 => (1, 0),
        Strategy::L1 => (2, 0),
        Strategy::LeastL1 => (3, 0),
        Strategy::TopK(k) => (4, k),
        Strategy::Guarded => (5, 0),
    };
    out.word(kind);
    out.count(count);
}

fn read_strategy(body: &mut Reader<'_>) -> Result<Strategy, LinalgError> {
    let (kind, count) = (body.word()?, body.count()?);
    Ok(match kind {
        0 => Strategy::Uniform,
        1 => Strategy::L2,
        2 => Strategy::L1,
        3 => Strategy::LeastL1,
        4 => Strategy::TopK(count),
        5 => Strategy::Guarded,
        _ => return Err(body.bad("a strategy is unknown")),
    })
}

fn write_cost(out: &mut Writer, cost: &CostModel) -> Result<(), Error> {
    match cost {
        CostModel::Linear(unit) => {
            out.word(0);
            out.number(*unit);
        }
        CostModel::FeePlusLinear { fee, unit } => {
            out.word(1);
            out.number(*fee);
            out.number(*unit);
        }
        CostModel::Tiered(tiers) => {
            out.word(2);
            out.count(tiers.len());
            for (up_to, unit) in tiers {
                out.count(*up_to);
                out.number(*unit);
            }
        }
        CostModel::Custom(_) => {
            return Err(ArgumentError::new("costs", "Custom", "a cost model that can be stored").into());
        }
    }
    Ok(())
}

fn read_cost(body: &mut Reader<'_>) -> Result<CostModel, LinalgError> {
    Ok(match body.word()? {
        0 => CostModel::Linear(body.number()?),
        1 => CostModel::FeePlusLinear { fee: body.number()?, unit: body.number()? },
        2 => {
            let count = body.length(16)?;
            let tier = |body: &mut Reader<'_>| Ok::<_, LinalgError>((body.count()?, body.number()?));
            CostModel::Tiered((0..count).map(|_| tier(body)).collect::<Result<_, _>>()?)
        }
        _ => return Err(body.bad("a cost model is unknown")),
    })
}

fn read_tasks(body: &mut Reader<'_>) -> Result<Vec<TaskData>, LinalgError> {
    let count = body.length(8)?;
    (0..count).map(|_| TaskData::from_bytes(body.bytes()?)).collect()
}

fn write_matrix(out: &mut Writer, matrix: &Matrix) {
    [matrix.rows(), matrix.columns()].into_iter().for_each(|size| out.count(size));
    out.numbers(matrix.as_slice());
}

fn read_matrix(body: &mut Reader<'_>) -> Result<Matrix, LinalgError> {
    let (rows, columns, values) = (body.count()?, body.count()?, body.numbers()?);
    if rows.checked_mul(columns) != Some(values.len()) {
        return Err(body.bad("a matrix does not have its entries"));
    }
    let matrix = Matrix::from_vec(rows, columns, values)?;
    if matrix.as_slice().iter().all(|v| v.is_finite()) { Ok(matrix) } else { Err(body.bad("a number is not finite")) }
}

fn read_ending(body: &mut Reader<'_>) -> Result<Ending, LinalgError> {
    let word = body.text()?;
    let all = [Ending::Finished, Ending::Limit, Ending::Interrupted];
    all.into_iter().find(|e| e.name() == word).ok_or_else(|| body.bad("an ending is unknown"))
}

fn write_round(out: &mut Writer, round: &Round) {
    match round.followed {
        Route::Asked(strategy) => {
            out.flag(false);
            write_strategy(out, strategy);
        }
        Route::Mixture { uniform, l2, l1 } => {
            out.flag(true);
            [uniform, l2, l1].into_iter().for_each(|v| out.number(v));
        }
    }
    out.numbers(&round.relevance.nu);
    out.numbers(&round.relevance.shares);
    [round.relevance.norm, round.relevance.gap].into_iter().for_each(|v| out.number(v));
    out.counts(&round.samples);
    [round.cost, round.predicted_risk, round.efficiency, round.noise].into_iter().for_each(|v| out.number(v));
}

fn read_round(body: &mut Reader<'_>, tasks: usize) -> Result<Round, LinalgError> {
    let followed = if body.flag()? {
        Route::Mixture { uniform: body.finite()?, l2: body.finite()?, l1: body.finite()? }
    } else {
        Route::Asked(read_strategy(body)?)
    };
    let (nu, shares) = (body.numbers()?, body.numbers()?);
    let relevance = Relevance { nu, shares, norm: body.number()?, gap: body.number()? };
    let samples = body.counts()?;
    if [relevance.nu.len(), relevance.shares.len(), samples.len()].iter().any(|n| *n != tasks) {
        return Err(body.bad("a list is not of all tasks"));
    }
    let [cost, predicted_risk, efficiency, noise] = [body.number()?, body.number()?, body.number()?, body.number()?];
    Ok(Round { followed, relevance, samples, cost, predicted_risk, efficiency, noise })
}
