//! Marks this crate's own validators: [`BuiltIn`].

use crate::config_error::Problem;

/// The argument of [`TokenValidator::__built_in`](super::TokenValidator::__built_in). The type is public because the
/// trait is, but it cannot be named outside this crate, so the method cannot be overridden there.
///
/// ```compile_fail
/// use tower_bearer::validator::Private;
/// ```
#[derive(Debug)]
pub struct Private(pub(super) ());

/// Marks a validator of this crate.
///
/// Its verdicts may be reused without a call to [`ValidatedToken::reusable_for`](crate::ValidatedToken::reusable_for), and
/// it logs its own outages.
#[derive(Debug, Default)]
pub struct BuiltIn {
    /// Problems of its configuration, which the `build()` of the resource server reports.
    pub(super) problems: Vec<Problem>,
}
