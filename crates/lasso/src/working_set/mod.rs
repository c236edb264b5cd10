//! Minimisation over a set of columns that grows until no other column violates its constraint.
pub(crate) mod anderson;
pub(crate) mod descent;
pub(crate) mod descent_budget;
pub(crate) mod lambda_path;
pub(crate) mod set;
