//! Working memory that outlives the tasks that use it.
use std::sync::{Mutex, PoisonError};

/// As many pieces of working memory as tasks ran at once.
#[derive(Debug, Default)]
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    /// Lends one piece; its content is of no matter.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let list = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut piece = list().pop().unwrap_or_default();
        let result = work(&mut piece);
        list().push(piece);
        result
    }
}
