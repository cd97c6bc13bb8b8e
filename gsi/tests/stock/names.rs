//! Renderings and hashes against openssl.

use gsi::Certificate;
use std::process::Command;

/// Subjects as `openssl req -subj` takes them, chosen for what can go wrong.
const SUBJECTS: [&str; 18] = [
    "/O=Grid/OU=peer/CN=Peer CA",
    "/C=DE/ST=Hesse/L=Darmstadt/O=GSI/CN=Jürgen Müller",
    "/O=Grid/CN=host\\/h.example.org",
    "/O=  Many   blanks  /CN= x\ty ",
    "/O=UPPER lower ÄÖÜ/CN=MiXeD",
    "/O=Grid+OU=multi/CN=a+UID=b",
    "/O=Grid/CN=a\\+b, \"c\" \\\\ <d>; #e",
    "/DC=org/DC=example/UID=me/CN=x/emailAddress=Me@Example.ORG",
    "/SN=sur/GN=given/serialNumber=42/street=s/title=t/description=d",
    "/businessCategory=b/postalCode=1/jurisdictionC=DE/organizationIdentifier=oi",
    "/name=n/initials=i/dnQualifier=q/pseudonym=p/generationQualifier=g",
    "/host=h/mail=m/userClass=u/info=i/aRecord=a/x500UniqueIdentifier=x",
    "/1.2.3.4.5=dotted/CN=x",
    "/unstructuredName=u/challengePassword=c/CN=x",
    "/O=漢字/CN=𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "/CN=\u{7f}\u{1}x",
    "/CN=~ }{|^[]@?=",
    "/role=r/uid=u/INN=123456789012/OGRN=1234567890123",
];

#[test]
fn renderings_and_hashes_are_those_of_openssl() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.pem");
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key.pem"]);
    assert!(key.exists());
    // `default` chooses T61 and BMP strings where it can, `utf8only` what is made today.
    for mask in ["utf8only", "default", "MASK:0x800"] {
        let config = format!("[req]\ndistinguished_name=dn\nstring_mask={mask}\nutf8=yes\n[dn]\n");
        std::fs::write(directory.path().join("config"), config).unwrap();
        for subject in SUBJECTS {
            let request =
                ["req", "-x509", "-config", "config", "-utf8", "-multivalue-rdn", "-key", "key.pem"];
            let made = Command::new("openssl")
                .args(request)
                .args(["-subj", subject, "-out", "made.pem"])
                .current_dir(directory.path())
                .output()
                .unwrap();
            if !made.status.success() && mask != "utf8only" {
                // Not every text fits every string type.
                continue;
            }
            assert!(made.status.success(), "{subject}: {}", String::from_utf8_lossy(&made.stderr));
            let said = openssl(&[
                "x509",
                "-in",
                "made.pem",
                "-noout",
                "-hash",
                "-subject_hash_old",
                "-subject",
                "-nameopt",
                "compat",
            ]);
            let said = String::from_utf8(said).unwrap();
            let lines: Vec<&str> = said.lines().collect();
            let pem = std::fs::read(directory.path().join("made.pem")).unwrap();
            let certificate = Certificate::from_pem(&pem).unwrap().remove(0);
            let name = certificate.subject();
            let ours = [name.hash(), name.old_hash(), format!("subject={}", name.subject())];
            assert_eq!(ours, lines.as_slice(), "{subject} as {mask}");
        }
    }
}
