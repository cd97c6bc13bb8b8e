//! A whole gatekeeper on loopback with a fake job manager, asked by our client and by the stock one.

mod house;
mod ours;
mod stock;

use super::*;

#[test]
fn names_of_accounts() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\n\nbad line\nalice:x:1000:1000::/home/alice:/bin/sh\n";
    assert_eq!(name_in(passwd, 0), Some("root"));
    assert_eq!(name_in(passwd, 1000), Some("alice"));
    assert_eq!(name_in(passwd, 7), None);
}

#[tokio::test]
async fn addresses() {
    assert!(listen("[::]:0").is_ok());
    assert!(listen("127.0.0.1:0").is_ok());
    for address in ["2119", "[::]", "[::]:x"] {
        let error = listen(address).unwrap_err();
        assert!(error.to_string().contains("expected address:port"), "{error}");
    }
}
