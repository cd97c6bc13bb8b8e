//! Reading audit files back: the present one and those it was before rotation.

use super::entry::{Entry, MAX_LINE, Question};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A line that is none: the file and the number of the line, from 1, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which file.
    pub file: PathBuf,
    /// Which line.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// The file after this many rotations; 0 is the present one.
pub fn rotated(path: &Path, times: usize) -> PathBuf {
    if times == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{times}"));
    PathBuf::from(name)
}

/// The files that exist, oldest first.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        (1..).map(|times| rotated(path, times)).take_while(|file| file.exists()).collect();
    files.reverse();
    if path.exists() || files.is_empty() {
        files.push(path.to_owned());
    }
    files
}

/// Hands on every line of a file, in order. A last line without an end is one that is just being written, or was when
/// the machine stopped; it counts when it is whole.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: &Path, mut each: impl FnMut(Result<Entry, Broken>)) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = MAX_LINE as u64 + 2;
        if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() as u64 == limit && !line.ends_with(b"\n") {
            reader.skip_until(b'\n')?;
        }
        let text = String::from_utf8_lossy(&line);
        let entry = Entry::parse(text.trim_end());
        each(entry.map_err(|reason| Broken { file: path.to_owned(), line: number, reason }));
    }
    Ok(())
}

/// The last `limit` lines of all these files that fit, in order; and the lines that are none.
///
/// # Errors
/// When a file cannot be read.
pub fn find(files: &[PathBuf], question: &Question, limit: usize) -> io::Result<(Vec<Entry>, Vec<Broken>)> {
    let mut found = VecDeque::new();
    let mut broken = Vec::new();
    for file in files {
        read(file, |line| match line {
            Ok(entry) if question.fits(&entry) => {
                if found.len() == limit {
                    found.pop_front();
                }
                if limit > 0 {
                    found.push_back(entry);
                }
            }
            Ok(_) => {}
            Err(line) => broken.push(line),
        })?;
    }
    Ok((found.into(), broken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(request: &str) -> String {
        format!("{{\"time\":\"2026-11-21T19:00:00Z\",\"request\":\"{request}\",\"outcome\":\"granted\"}}\n")
    }

    #[test]
    fn all_files_in_order_and_broken_lines_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        assert_eq!(files(&path), vec![path.clone()]);
        std::fs::write(rotated(&path, 2), line("r1")).unwrap();
        std::fs::write(rotated(&path, 1), line("r2") + &"x".repeat(MAX_LINE * 2) + "\n" + &line("r3"))
            .unwrap();
        std::fs::write(&path, line("r4") + "{\"time\":").unwrap();
        let files = files(&path);
        assert_eq!(files.len(), 3);
        let (found, broken) = find(&files, &Question::default(), 3).unwrap();
        let requests: Vec<_> = found.iter().map(|entry| entry.request.as_str()).collect();
        assert_eq!(requests, ["r2", "r3", "r4"]);
        let places: Vec<_> = broken.iter().map(|broken| (broken.file.clone(), broken.line)).collect();
        assert_eq!(places, [(rotated(&path, 1), 2), (path, 2)]);
    }
}
