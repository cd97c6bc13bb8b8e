//! Contact strings (gram.md §5).

/// `host[:port][/service][:subject]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceContact {
    /** host */
    pub host: String,
    /** default 2119 */
    pub port: u16,
    /** default jobmanager */
    pub service: String,
    /** expected identity; None: by host */
    pub subject: Option<gsi::Subject>,
}

/// `https://host:port/u64/u64/`. Only the two numbers identify the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobContact {
    /** host */
    pub host: String,
    /** port */
    pub port: u16,
    /** first half */
    pub high: u64,
    /** second half */
    pub low: u64,
}

/// `https://host:port/` of a call-back listener, with the DN after a `:` in the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackContact {
    /** as given */
    pub url: String,
    /** host */
    pub host: String,
    /** port */
    pub port: u16,
    /** expected peer; None: self */
    pub subject: Option<gsi::Subject>,
}

/// Not a contact (says which part and what would be right).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ContactError(pub String);

impl std::str::FromStr for ResourceContact {
    type Err = ContactError;
    fn from_str(_s: &str) -> Result<Self, ContactError> {
        todo!()
    }
}
impl std::str::FromStr for JobContact {
    type Err = ContactError;
    fn from_str(_s: &str) -> Result<Self, ContactError> {
        todo!()
    }
}
impl std::str::FromStr for CallbackContact {
    type Err = ContactError;
    fn from_str(_s: &str) -> Result<Self, ContactError> {
        todo!()
    }
}
impl std::fmt::Display for ResourceContact {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl std::fmt::Display for JobContact {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
