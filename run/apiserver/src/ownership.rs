//! Who owns which field: managedFields kept right by every write.

use meta::Object;

use crate::call::Call;
use crate::options::WriteOptions;

/// Records what an update, as opposed to an apply, changed.
pub(crate) fn record(
    _call: &Call,
    _options: &WriteOptions,
    _live: Option<&Object>,
    _new: &mut Object,
) {
}
