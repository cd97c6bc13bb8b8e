//! Keys against `openssl`, which writes what people have.

use super::*;
use proptest::prelude::*;
use std::process::Command;

/// Runs openssl in a fresh directory and returns the file `out.pem` it wrote.
fn openssl(commands: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    for command in commands {
        let output =
            Command::new("openssl").args(command.split(' ')).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "openssl {command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::read(dir.path().join("out.pem")).unwrap()
}

const MAKE_RSA: &str = "genrsa -out plain.pem 2048";

#[test]
fn plain_keys_of_every_form_are_read() {
    for command in [
        "genrsa -out out.pem 2048",
        "genrsa -traditional -out out.pem 2048",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out out.pem",
        "ecparam -name secp384r1 -genkey -noout -out out.pem",
    ] {
        PrivateKey::from_pem(&openssl(&[command]), None).unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

#[test]
fn encrypted_keys_of_every_form_are_read() {
    for command in [
        "pkcs8 -topk8 -in plain.pem -out out.pem -passout pass:secret",
        "pkcs8 -topk8 -in plain.pem -out out.pem -passout pass:secret -v2 des3",
        "pkcs8 -topk8 -in plain.pem -out out.pem -passout pass:secret -v2 aes-128-cbc -v2prf hmacWithSHA1",
        "rsa -traditional -in plain.pem -out out.pem -passout pass:secret -aes256",
        "rsa -traditional -in plain.pem -out out.pem -passout pass:secret -des3",
    ] {
        let pem = openssl(&[MAKE_RSA, command]);
        let read = |passphrase| PrivateKey::from_pem(&pem, passphrase);
        read(Some("secret")).unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(matches!(read(None), Err(GsiError::Key(KeyError::PassphraseNeeded))), "{command}");
        assert!(matches!(read(Some("wrong")), Err(GsiError::Key(KeyError::WrongPassphrase))), "{command}");
    }
}

#[test]
fn openssl_reads_what_we_encrypt() {
    let key = crate::forge::known_rsa_key(1);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key.pem"), key.to_encrypted_pem("secret").unwrap().as_bytes()).unwrap();
    let output = Command::new("openssl")
        .args(["rsa", "-in", "key.pem", "-passin", "pass:secret", "-pubout", "-outform", "DER"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, key.public_key_info());
}

#[test]
fn a_key_survives_its_own_pem() {
    let key = crate::forge::known_rsa_key(1);
    let again = PrivateKey::from_pem(key.to_pem().as_bytes(), None).unwrap();
    assert_eq!(again.public_key_info(), key.public_key_info());
}

#[test]
fn short_and_odd_rsa_keys_are_refused() {
    let short = openssl(&["genrsa -out out.pem 1024"]);
    assert!(matches!(PrivateKey::from_pem(&short, None), Err(GsiError::Key(KeyError::TooShort))));
    assert!(matches!(PrivateKey::generate_rsa(1000), Err(GsiError::Key(KeyError::UnsupportedSize(1000)))));
}

#[test]
fn too_much_text_is_refused_unread() {
    let text = vec![b'x'; MAX_KEY_PEM + 1];
    assert!(matches!(PrivateKey::from_pem(&text, None), Err(GsiError::Key(KeyError::TooLarge(_)))));
}

#[test]
fn debug_output_shows_nothing_secret() {
    let key = crate::forge::known_rsa_key(1);
    assert_eq!(format!("{key:?}"), "PrivateKey { algorithm: RSA, .. }");
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let block = pem::Pem::new(encrypted::PKCS8_LABEL, bytes.clone());
        prop_assert!(PrivateKey::from_pem_block(&block, Some("x")).is_err());
        prop_assert!(PrivateKey::from_der(&bytes).is_err());
    }
}
