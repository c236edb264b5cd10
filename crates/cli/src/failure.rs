//! Why a command ends without a result.

/// Why a command ends without a result: exit code and one line.
#[derive(Debug)]
pub struct Failure {
    pub code: i32,
    pub message: String,
}

/// The input or the problem.
pub fn bad(message: impl std::fmt::Display) -> Failure {
    Failure { code: 1, message: message.to_string() }
}

/// The words of the call, or what this version cannot do yet.
pub fn usage(message: impl std::fmt::Display) -> Failure {
    Failure { code: 2, message: message.to_string() }
}
