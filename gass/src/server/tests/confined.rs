//! Exported directories: what is in them is served, and nothing leads out.

use super::*;
use std::os::unix::fs::symlink;

const PLAIN: Tildes = Tildes { own: true, others: true };

/// A server of `root` as `/data`, read-write, and as `/ro`; beside it lies `secret`.
struct Cage {
    folder: tempfile::TempDir,
    world: World,
}

impl Cage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("in")).unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("in/file"), "content").unwrap();
        let export = |path: &str, writable| Export::open(Some(path.as_ref()), &root, writable).unwrap();
        let files = Files::exported(vec![export("/data", true), export("/ro", false)], PLAIN).unwrap();
        let world = World::within(ALL, Scope { files, ..Scope::default() });
        Self { folder, world }
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    async fn get(&self, path: &str) -> Reply {
        self.world.ask("GET", path, &[], b"").await
    }

    async fn put(&self, path: &str) -> u16 {
        self.world.ask("PUT", path, &[], b"new").await.status
    }
}

#[tokio::test]
async fn nothing_leads_out() {
    let cage = Cage::new();
    let outside = cage.folder.path().join("secret");
    symlink(&outside, cage.root().join("absolute")).unwrap();
    symlink("../secret", cage.root().join("relative")).unwrap();
    symlink("..", cage.root().join("up")).unwrap();
    symlink("/proc/self/root", cage.root().join("magic")).unwrap();
    let secret = outside.to_str().unwrap();
    for path in [
        secret,
        "/etc/passwd",
        "/~/.profile",
        "/./Cargo.toml",
        "/data/../secret",
        "/data/%2e%2e/secret",
        "/data/in/..%2f..%2f../secret",
        "/data/absolute",
        "/data/relative",
        "/data/up/secret",
        "/data/up/root/in/file",
        "/data/magic/etc/passwd",
        &format!("/data/magic{secret}"),
        &format!("/data//{secret}"),
    ] {
        let reply = cage.get(path).await;
        assert!(matches!(reply.status, 403 | 404), "{path}: {reply:?}");
        assert!(!reply.text().contains("secret</h1>") && !reply.text().contains("root:"), "{path}");
        assert!(matches!(cage.put(path).await, 400 | 403 | 404), "{path}");
        let append = format!("/globus-bins/GASSappend?{path}");
        let reply = cage.world.ask("POST", &append, &[("Content-Length", "1")], b"x").await;
        // A new name directly in an exported directory is no way out.
        assert!(matches!(reply.status, 400 | 403 | 404), "{path}: {reply:?}");
        let made = cage.world.ask("MKCOL", &format!("{path}/new"), &[], b"").await;
        assert!(matches!(made.status, 400 | 403 | 404 | 409), "{path}: {made:?}");
    }
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "secret");
    assert_eq!(names(cage.folder.path()), ["root", "secret"]);
}

#[tokio::test]
async fn what_is_exported_is_served() {
    let cage = Cage::new();
    symlink("in/file", cage.root().join("link")).unwrap();
    for path in ["/data/in/file", "/ro/in/file", "/data//in/./file"] {
        assert_eq!(cage.get(path).await.text(), "content", "{path}");
    }
    assert!(matches!(cage.get("/data/link").await.status, 200 | 403), "403 without openat2");
    assert_eq!(cage.put("/data/in/new").await, 200);
    assert_eq!(cage.put("/ro/in/new2").await, 400);
    assert_eq!(cage.put("/data/link").await, 403, "what a link points to is not replaced through it");
    assert_eq!(cage.put("/data/").await, 400);
    assert_eq!(cage.put("/data").await, 400);
    assert_eq!(cage.world.ask("MKCOL", "/data", &[], b"").await.status, 405);
    assert_eq!(names(&cage.root().join("in")), ["file", "new"]);
    let append = "/globus-bins/GASSappend?/data/in/file";
    let reply = cage.world.ask("POST", append, &[("Content-Length", "1")], b"!").await;
    assert_eq!((reply.status, cage.get("/ro/in/file").await.text()), (200, "content!"));
}

#[tokio::test]
async fn pipes_and_devices_are_no_exports() {
    let cage = Cage::new();
    let pipe = cage.root().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(cage.get("/data/pipe").await.status, 400);
    assert_eq!(cage.put("/data/pipe").await, 400);
    let append = "/globus-bins/GASSappend?/data/pipe";
    let reply = cage.world.ask("POST", append, &[("Content-Length", "1")], b"!").await;
    assert!(matches!(reply.status, 400 | 500), "{reply:?}");
}

#[tokio::test]
async fn the_exports_are_listed() {
    let cage = Cage::new();
    let json = [("Accept", "application/json")];
    let reply = cage.world.ask("GET", "/", &json, b"").await;
    assert!(
        reply.text().contains("\"href\":\"data/\"") && reply.text().contains("\"href\":\"ro/\""),
        "{reply:?}"
    );
    let reply = cage.world.ask("GET", "/data/", &json, b"").await;
    assert!(reply.text().contains("\"href\":\"in/\""), "{reply:?}");
    assert_eq!(cage.get("/").await.status, 404);
    // What a directory links to elsewhere is named, not described.
    symlink("/etc/passwd", cage.root().join("out")).unwrap();
    let reply = cage.world.ask("GET", "/data/", &json, b"").await;
    assert!(reply.text().contains(r#""name":"out","href":"out","kind":"link""#), "{reply:?}");
    assert_eq!(cage.world.ask("GET", "/data/out", &json, b"").await.status, 403);
}
