//! Lists of copies, as `globus-url-copy -f` reads them: a line for each, the source and the destination, in double quotes
//! where they contain blanks, and perhaps `offset,length`. Empty lines and those that begin with `#` say nothing.

/// Longest list read, in bytes.
pub(crate) const MAX_LIST: u64 = 256 * 1024 * 1024;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The first byte.
    pub(crate) offset: Option<u64>,
    /// Bytes at most.
    pub(crate) length: Option<u64>,
}

/// A line that is none of these; counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadLine(pub(crate) usize);

/// Reads a list.
pub(crate) fn parse(text: &str) -> Result<Vec<Pair>, BadLine> {
    let lines = text.lines().map(str::trim).enumerate();
    let meant = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    meant.map(|(index, line)| pair(line).ok_or(BadLine(index + 1))).collect()
}

fn pair(line: &str) -> Option<Pair> {
    let (from, rest) = word(line)?;
    let (to, rest) = word(rest)?;
    let mut pair = Pair { from: from.to_owned(), to: to.to_owned(), offset: None, length: None };
    // What follows the range was written by `-do`: facts about the file.
    if let Some(range) = rest.split_whitespace().next() {
        let (offset, length) = range.split_once(',')?;
        // -1 stands for none.
        let number = |text: &str| text.parse::<i64>().ok().map(|number| u64::try_from(number).ok());
        pair.offset = number(offset)?.filter(|&offset| offset > 0);
        pair.length = number(length)?;
    }
    Some(pair)
}

/// The first word, without its quotes, and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let (word, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
    };
    (!word.is_empty()).then_some((word, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists() {
        let text = "# comment\n\na b\r\n  \"c d\"\t e \nf \"g h\" 2,3\ni j 0,-1 size=6;mode=0644;\n";
        let pair = |from: &str, to: &str, offset, length| Pair {
            from: from.to_owned(),
            to: to.to_owned(),
            offset,
            length,
        };
        let expected = [
            pair("a", "b", None, None),
            pair("c d", "e", None, None),
            pair("f", "g h", Some(2), Some(3)),
            pair("i", "j", None, None),
        ];
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse("").unwrap(), []);
        for bad in ["a", "\"a b", "a \"b", "a b c", "a b 1", "a b x,y", "\"\" b"] {
            assert_eq!(parse(&format!("a b\n{bad}")), Err(BadLine(2)), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn words_survive(from in "[!#-~]{1,10}", to in "[!#-~]([ -!#-~]{0,10}[!#-~])?") {
            prop_assume!(!from.starts_with('#'));
            let pairs = parse(&format!("{from} \"{to}\"")).unwrap();
            prop_assert_eq!(pairs.first().map(|pair| (&pair.from, &pair.to)), Some((&from, &to)));
        }
    }
}
