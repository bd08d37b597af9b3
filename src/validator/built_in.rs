//! What only this crate's own validators may say about themselves: [`BuiltIn`].

use crate::config_error::Problem;

/// The argument of [`TokenValidator::__built_in`](super::TokenValidator::__built_in). The type is public, as the trait is,
/// but cannot be named outside this crate, so nobody else can override the method.
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
    /// What is wrong with its configuration, for the build of the resource server to report.
    pub(super) problems: Vec<Problem>,
}
