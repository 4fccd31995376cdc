//! How often a user may ask: `--max-rate`.

use std::num::NonZero;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::{Error, Result};

/// Statements and predictions of each user by the second; where nobody logs in, those of all together.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: NonZero<u32>,
    users: DefaultKeyedRateLimiter<String>,
}

impl Rate {
    /// So many a second, and as many at once.
    pub(crate) fn new(per_second: NonZero<u32>) -> Self {
        Self { per_second, users: RateLimiter::keyed(Quota::per_second(per_second)) }
    }

    /// Counts one more.
    ///
    /// # Errors
    /// Overloaded: it is one too many.
    pub(crate) fn count(&self, user: Option<&str>) -> Result<()> {
        if self.users.check_key(&user.unwrap_or_default().to_owned()).is_ok() {
            return Ok(());
        }
        let who = user.map_or_else(|| "clients together".to_owned(), |user| format!("user {user}"));
        let many = self.per_second;
        Err(Error::overloaded(format!("{who} asked more than {many} times a second (--max-rate); try again later")))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::Rate;

    #[test]
    fn one_users_haste_is_not_anothers() {
        let rate = Rate::new(NonZero::new(3).unwrap());
        for _ in 0..3 {
            rate.count(Some("ann")).unwrap();
        }
        let error = rate.count(Some("ann")).unwrap_err();
        assert_eq!(error.to_string(), "user ann asked more than 3 times a second (--max-rate); try again later");
        assert_eq!((error.status().as_u16(), error.sqlstate()), (429, "53300"));
        rate.count(Some("bob")).unwrap();
        rate.count(None).unwrap();
    }
}
