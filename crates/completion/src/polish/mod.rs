//! Steps that end in the digits of the machine.
pub(crate) mod gauss_newton;
pub(crate) mod half_step;
pub(crate) mod row_solvers;
