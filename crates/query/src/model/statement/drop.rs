//! DROP MODEL

use sqlparser::ast::{Ident, ObjectName};

use crate::Result;
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, position_of};

/// Drops a model with all its versions.
pub(in crate::model) async fn drop_model(scope: &StatementScope, name: &[Ident], if_exists: bool) -> Result<Outcome> {
    let object = ObjectName::from(name.to_vec());
    let name = scope.model_name(&object)?;
    let dropped = scope.lake().drop_model(&name, if_exists).await;
    let dropped = dropped.map_err(|error| scope.locate(error.into(), position_of(&object)))?;
    if !dropped {
        return Ok(Outcome::Done(Summary::new(format!("there is no model {name}; nothing to do"))));
    }
    let written = ObjectRef::model(format!("{}.{}", name.namespace, name.model));
    scope.record_write(written, ObjectVersion::Fingerprint("dropped".to_owned()));
    Ok(Outcome::Done(Summary::new(format!("dropped model {name}"))))
}
