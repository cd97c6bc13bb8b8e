//! What the gatekeeper and the launcher say to each other, as bytes: one packet each way, then the connection is closed.
//!
//! | packet | bytes |
//! |---|---|
//! | request | version, account name; and one descriptor: the write end of a pipe, which becomes the manager's output |
//! | reply | version, code, process id (4 bytes, little-endian; 0 unless started) |
//!
//! The socket is of type `SOCK_SEQPACKET`: the kernel keeps the packets apart, so there is nothing to count.

use std::fmt;

/// First byte of both packets.
pub const VERSION: u8 = 1;
/// Longest account name, in bytes.
pub const MAX_ACCOUNT: usize = 64;
/// Longest request, in bytes.
pub const MAX_REQUEST: usize = 1 + MAX_ACCOUNT;
/// Length of a reply, in bytes.
pub const REPLY: usize = 6;

/// The name of a local account, or what could be one: safe as a file's name and as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountName(String);

impl AccountName {
    /// Letters, digits, `_`, and from the second place on `-`, `.`, `@` and `+`; at most [`MAX_ACCOUNT`] of them.
    pub fn new(name: &str) -> Option<Self> {
        let begins = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let first = name.bytes().next()?;
        let sound = name.bytes().all(|byte| begins(byte) || b"-.@+".contains(&byte));
        (begins(first) && sound && name.len() <= MAX_ACCOUNT).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why no job manager is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The request is not one.
    Malformed = 1,
    /// Whoever asks is not the gatekeeper.
    Stranger = 2,
    /// No account can have this name.
    Name = 3,
    /// There is no such account.
    Unknown = 4,
    /// The account has uid 0, or is in group 0.
    Root = 5,
    /// Its uid is below the configured minimum, or that of "nobody".
    Uid = 6,
    /// It is not in the site's list of accounts.
    Unlisted = 7,
    /// It is the gatekeeper's own, or in the gatekeeper's group.
    Gatekeeper = 8,
    /// The launcher failed; its log says how.
    Failed = 9,
}

impl Refusal {
    /// Every one, in the order of the codes.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::Stranger,
        Self::Name,
        Self::Unknown,
        Self::Root,
        Self::Uid,
        Self::Unlisted,
        Self::Gatekeeper,
        Self::Failed,
    ];
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the request is malformed",
            Self::Stranger => "only the gatekeeper may ask",
            Self::Name => "this cannot be an account's name",
            Self::Unknown => "there is no such account",
            Self::Root => "the account has uid 0 or is in group 0",
            Self::Uid => "the account's uid is below the minimum, or nobody's",
            Self::Unlisted => "the account is not in the site's list of accounts",
            Self::Gatekeeper => "the account is the gatekeeper's own, or in its group",
            Self::Failed => "the launcher failed, see its log",
        })
    }
}

/// The launcher's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// A process that is to become the job manager has been started. It says itself when it is ready, on its output.
    Started {
        /// Its id.
        pid: u32,
    },
    /// None has.
    Refused(Refusal),
}

/// A request for this account's job manager.
pub fn encode_request(account: &AccountName) -> Vec<u8> {
    let mut packet = vec![VERSION];
    packet.extend_from_slice(account.as_str().as_bytes());
    packet
}

/// The account whose manager is asked for.
pub fn decode_request(packet: &[u8]) -> Result<AccountName, Refusal> {
    let Some((&VERSION, name)) = packet.split_first() else { return Err(Refusal::Malformed) };
    std::str::from_utf8(name).ok().and_then(AccountName::new).ok_or(Refusal::Name)
}

/// The answer as bytes.
pub fn encode_reply(reply: Reply) -> [u8; REPLY] {
    let (code, pid) = match reply {
        Reply::Started { pid } => (0, pid),
        Reply::Refused(refusal) => (refusal as u8, 0),
    };
    let [a, b, c, d] = pid.to_le_bytes();
    [VERSION, code, a, b, c, d]
}

/// The answer in these bytes; None: they are none.
pub fn decode_reply(packet: &[u8]) -> Option<Reply> {
    let &[VERSION, code, a, b, c, d] = packet else { return None };
    let pid = u32::from_le_bytes([a, b, c, d]);
    match code {
        0 => (pid != 0).then_some(Reply::Started { pid }),
        code => Refusal::ALL.into_iter().find(|refusal| *refusal as u8 == code).map(Reply::Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_accounts() {
        for name in
            ["alice", "_apt", "a", "grid-01", "Alice.B", "alice@example.org", &"x".repeat(MAX_ACCOUNT)]
        {
            assert_eq!(AccountName::new(name).unwrap().as_str(), name);
        }
        let wrong =
            ["", ".", "..", "-rf", ".ssh", "a/b", "/", "a b", "a\0", "a:b", "älice", "a\n", "%x", "a,b"];
        for name in wrong.into_iter().chain([&*"x".repeat(MAX_ACCOUNT + 1)]) {
            assert_eq!(AccountName::new(name), None, "{name:?}");
        }
    }

    #[test]
    fn requests_that_are_none() {
        assert_eq!(decode_request(b""), Err(Refusal::Malformed));
        assert_eq!(decode_request(b"\x02alice"), Err(Refusal::Malformed));
        assert_eq!(decode_request(b"\x01"), Err(Refusal::Name));
        assert_eq!(decode_request(b"\x01../alice"), Err(Refusal::Name));
        assert_eq!(decode_request(b"\x01\xff"), Err(Refusal::Name));
    }

    #[test]
    fn replies_round_trip() {
        let refused = Refusal::ALL.into_iter().map(Reply::Refused);
        for reply in refused.chain([Reply::Started { pid: 1 }, Reply::Started { pid: u32::MAX }]) {
            assert_eq!(decode_reply(&encode_reply(reply)), Some(reply));
        }
        assert_eq!(decode_reply(&[VERSION, 0, 0, 0, 0, 0]), None, "started, and no process");
        assert_eq!(decode_reply(&[VERSION, 99, 0, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn requests_round_trip(name in "[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}") {
            let account = AccountName::new(&name).unwrap();
            prop_assert_eq!(decode_request(&encode_request(&account)), Ok(account));
        }

        #[test]
        fn any_bytes_are_judged(packet: Vec<u8>) {
            let _ = decode_reply(&packet);
            if let Ok(account) = decode_request(&packet) {
                prop_assert_eq!(encode_request(&account), packet);
            }
        }
    }
}
