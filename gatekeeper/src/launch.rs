//! Finding or starting the account's job manager and handing the request over.
