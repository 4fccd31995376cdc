//! Models that are kept ready.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lakemill_base::Stopwatch;
use parking_lot::Mutex;

use super::super::Shared;
use super::super::caller::Caller;
use super::batch::Served;
use crate::error::Result;

/// How long a model is served without asking whether there is a newer version, and whether its caller may still use it.
const FRESH: Duration = Duration::from_secs(1);

/// How long it is served at most while that is being asked.
const STALE: Duration = Duration::from_secs(5);

/// Models that are kept ready.
const SCORERS_MAX: usize = 64;

/// Models that are ready, by who asks, name and version.
#[derive(Debug, Default)]
pub(in super::super) struct Scorers(Mutex<HashMap<Wanted, Ready>>);

/// Who asks for a model, its name as it was asked for, and the version if one was named.
type Wanted = (Option<String>, String, Option<u64>);

/// A model that is ready.
#[derive(Debug)]
struct Ready {
    served: Arc<Served>,
    /// Since it was made.
    made: Stopwatch,
    /// Since somebody last began to make it anew.
    asked: Stopwatch,
}

impl Scorers {
    /// The model, ready to predict.
    ///
    /// # Errors
    /// Not found; Denied; what loading the model finds wrong.
    pub(super) async fn get(
        &self,
        shared: &Shared,
        caller: Caller,
        name: &str,
        version: Option<u64>,
    ) -> Result<Arc<Served>> {
        let key = (caller.user().map(str::to_owned), name.to_owned(), version);
        if let Some(ready) = self.0.lock().get_mut(&key) {
            let age = ready.made.elapsed();
            // While one request asks anew, others are answered by what is known.
            if age < FRESH || (ready.asked.elapsed() < FRESH && age < STALE) {
                return Ok(Arc::clone(&ready.served));
            }
            ready.asked = Stopwatch::start();
        }
        let (session, wanted) = (caller.session(shared), name.to_owned());
        let loaded = shared.engine.on_work(async move { Ok(session.scorer(&wanted, version).await?) }).await;
        let mut all = self.0.lock();
        match loaded {
            Ok(scorer) => {
                let served = Arc::new(Served::new(scorer, shared.service.predictions.clone()));
                if all.len() >= SCORERS_MAX && !all.contains_key(&key) {
                    let oldest = all.iter().max_by_key(|(_, ready)| ready.made.elapsed()).map(|(key, _)| key.clone());
                    oldest.map(|key| all.remove(&key));
                }
                let (made, asked) = (Stopwatch::start(), Stopwatch::start());
                all.insert(key, Ready { served: Arc::clone(&served), made, asked });
                Ok(served)
            }
            Err(error) => {
                all.remove(&key);
                Err(error)
            }
        }
    }
}
