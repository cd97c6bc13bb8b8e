//! Reads, changes and extends files by URL, as a program does that does not care where they are.
//!
//! ```sh
//! gridiron proxy init
//! gridiron gass serve -rw &                # prints its URL
//! cargo run -p gass --example file_access -- https://host:port/tmp/notes "a line to add"
//! ```

use gass::{Cache, Client, Files, file::Options};
use gsi::{Credential, TrustDirectory, credential::Purpose};
use std::{env, error::Error};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(url), Some(line)) = (arguments.next(), arguments.next()) else {
        return Err("usage: file_access URL LINE".into());
    };
    let client = if url.starts_with("https:") {
        Client::new(&Credential::find(Purpose::User)?, &TrustDirectory::open_default()?)?
    } else {
        Client::insecure()
    };
    let files = Files::new(Cache::open(&Cache::default_root())?, client);

    // Append: the line is on its way as soon as it is written.
    let mut log = files.open(&url, &Options::append()).await?;
    log.write_all(format!("{line}\n").as_bytes()).await?;
    log.close().await?;

    // Read: from the cache if somebody here has it open, else fetched.
    let mut text = String::new();
    let mut input = files.open(&url, &Options::read()).await?;
    input.read_to_string(&mut text).await?;
    input.close().await?;

    // Change: close writes the whole file back.
    let mut update = files.open(&url, &Options::update()).await?;
    update.seek(std::io::SeekFrom::Start(0)).await?;
    update.write_all(text.to_uppercase().as_bytes()).await?;
    update.close().await?;

    tokio::io::stdout().write_all(text.as_bytes()).await?;
    Ok(())
}
