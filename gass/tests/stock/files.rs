//! Files as a program sees them: on a stock server, in a cache shared with the stock program.

use crate::site::Site;
use gass::{Cache, Client, Files, file::Options};
use gsi::ProxyKind;
use std::fs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn files_of_a_stock_server_in_a_shared_cache() {
    let site = Site::new();
    let client = Client::new(&site.proxy(ProxyKind::Full), &site.trust()).unwrap();
    let Some(server) = site.server(&["-r", "-w"]) else { return };
    let Some(mut stock) = site.stock("globus-gass-cache") else { return };
    let url = format!("{}{}", server.url, site.path("f").display());
    fs::write(site.path("f"), "one\n").unwrap();
    stock.env("GLOBUS_GASS_CACHE_DEFAULT", site.path("cache")).args(["-add", "-t", "stock", &url]);
    assert!(stock.status().unwrap().success());
    fs::write(site.path("f"), "one, changed\n").unwrap();

    let cache = Cache::open(&site.path("cache")).unwrap();
    let files = Files::new(cache.clone(), client).tagged("ours");
    let mut reader = files.open(&url, &Options::read()).await.unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "one\n", "the copy that stock has fetched");
    reader.close().await.unwrap();

    let mut writer = files.open(&url, &Options::update()).await.unwrap();
    writer.write_all(b"TWO").await.unwrap();
    writer.close().await.unwrap();
    assert_eq!(fs::read_to_string(site.path("f")).unwrap(), "TWO\n");

    let mut appender = files.open(&url, &Options::append()).await.unwrap();
    appender.write_all(b"and more\n").await.unwrap();
    appender.close().await.unwrap();
    assert_eq!(fs::read_to_string(site.path("f")).unwrap(), "TWO\nand more\n");

    let listed = cache.list(None, None).unwrap();
    let tags: Vec<&str> = listed[0].tags.iter().map(|tagged| tagged.tag.as_str()).collect();
    assert_eq!(tags, ["stock"], "ours are given back");
}
