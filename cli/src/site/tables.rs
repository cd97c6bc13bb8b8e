//! TOML tables into configuration structs, collecting every mistake instead of stopping at the first.

use serde::de::{DeserializeOwned, Visitor, value::Error as FieldsOnly};
use std::{borrow::Cow, collections::BTreeMap, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A parsed document whose tables are taken out one by one.
pub struct Reader<'i> {
    text: &'i str,
    tables: Vec<Entry<'i>>,
    known: Vec<String>,
    problems: Vec<(Range<usize>, String)>,
}

type Entry<'i> = (Spanned<Cow<'i, str>>, Spanned<DeValue<'i>>);

impl<'i> Reader<'i> {
    /// Parses; syntax errors become problems and the rest is still read.
    pub fn new(text: &'i str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let problem = |error: toml::de::Error| (error.span().unwrap_or(0..0), error.message().to_owned());
        Self {
            text,
            tables: root.into_inner().into_iter().collect(),
            known: Vec::new(),
            problems: errors.into_iter().map(problem).collect(),
        }
    }

    /// The top-level table `[name]` as a `T`; absent is the same as empty. `defaults` are strings for missing keys.
    pub fn table<T: DeserializeOwned>(
        &mut self,
        name: &str,
        defaults: &[(&'static str, &'i str)],
    ) -> Option<T> {
        self.known.push(name.to_owned());
        let position = self.tables.iter().position(|(key, _)| key.get_ref() == name);
        let (span, entries) = match position.map(|index| self.tables.remove(index)) {
            None => (0..0, Vec::new()),
            Some((key, value)) => (key.span(), self.entries(name, value)?),
        };
        self.fill(name, span, entries, defaults)
    }

    /// As [`Self::table`]; None also when there is no such table.
    pub fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
        defaults: &[(&'static str, &'i str)],
    ) -> Option<T> {
        if self.tables.iter().any(|(key, _)| key.get_ref() == name) {
            return self.table(name, defaults);
        }
        self.known.push(name.to_owned());
        None
    }

    /// All tables `[group.NAME]` by name.
    pub fn tables<T: DeserializeOwned>(&mut self, group: &str) -> BTreeMap<String, T> {
        self.known.push(group.to_owned());
        let Some(index) = self.tables.iter().position(|(key, _)| key.get_ref() == group) else {
            return BTreeMap::new();
        };
        let (_, value) = self.tables.remove(index);
        let mut read = BTreeMap::new();
        for (key, value) in self.entries(group, value).unwrap_or_default() {
            let name = format!("{group}.{}", key.get_ref());
            if let Some(entries) = self.entries(&name, value)
                && let Some(table) = self.fill(&name, key.span(), entries, &[])
            {
                read.insert(key.into_inner().into_owned(), table);
            }
        }
        read
    }

    /// Every problem, in file order, with its 1-based line; tables nobody asked for are problems too.
    pub fn finish(mut self) -> Vec<(Option<usize>, String)> {
        for (key, _) in std::mem::take(&mut self.tables) {
            let near = nearest(key.get_ref(), self.known.iter().map(String::as_str));
            let advice = match near {
                Some(near) => format!("did you mean [{near}]?"),
                None => format!("known are {}", self.known.join(", ")),
            };
            self.problems.push((key.span(), format!("unknown table [{}]: {advice}", key.get_ref())));
        }
        self.problems.sort_by_key(|(span, _)| span.start);
        let line = |at: usize| self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        self.problems.iter().map(|(span, message)| (Some(line(span.start)), message.clone())).collect()
    }

    fn entries(&mut self, name: &str, value: Spanned<DeValue<'i>>) -> Option<Vec<Entry<'i>>> {
        let span = value.span();
        if let DeValue::Table(table) = value.into_inner() {
            Some(table.into_iter().collect())
        } else {
            self.problems.push((span, format!("`{name}` must be a table: write [{name}]")));
            None
        }
    }

    /// Reads entries into a `T`. serde stops at the first mistake, so each one is reported, its entry taken out, and the
    /// rest read again.
    fn fill<T: DeserializeOwned>(
        &mut self,
        name: &str,
        span: Range<usize>,
        mut entries: Vec<Entry<'i>>,
        defaults: &[(&'static str, &'i str)],
    ) -> Option<T> {
        let fields = field_names::<T>();
        let mut sound = true;
        entries.retain(|(key, _)| {
            let known = fields.contains(&key.get_ref().as_ref());
            if !known {
                let advice = match nearest(key.get_ref(), fields.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", fields.join(", ")),
                };
                let message = format!("unknown key `{}` in [{name}]: {advice}", key.get_ref());
                self.problems.push((key.span(), message));
            }
            sound &= known;
            known
        });
        loop {
            let error = match read::<T>(&entries, span.clone(), defaults) {
                Ok(table) => return sound.then_some(table),
                Err(error) => error,
            };
            sound = false;
            let at = error.span().unwrap_or(span.clone());
            let blamed = entries.iter().position(|(_, value)| contains(&value.span(), &at));
            let Some(index) = blamed else {
                self.problems.push((span, format!("[{name}]: {}", error.message().trim())));
                return None;
            };
            let (key, _) = entries.remove(index);
            self.problems.push((at, format!("`{}`: {}", key.get_ref(), error.message().trim())));
        }
    }
}

fn read<'i, T: DeserializeOwned>(
    entries: &[Entry<'i>],
    span: Range<usize>,
    defaults: &[(&'static str, &'i str)],
) -> Result<T, toml::de::Error> {
    let mut table: DeTable<'i> = entries.iter().cloned().collect();
    for (key, value) in defaults {
        if !entries.iter().any(|(present, _)| present.get_ref() == key) {
            let value = DeValue::String(Cow::Borrowed(*value));
            table.insert(Spanned::new(0..0, Cow::Borrowed(*key)), Spanned::new(0..0, value));
        }
    }
    T::deserialize(toml::de::Deserializer::from(Spanned::new(span, table)))
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && !outer.is_empty()
}

/// The known word a person most likely meant: few edits, relative to its length.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = |candidate: &&str| edits(word, candidate) <= 1 + word.len().max(candidate.len()) / 4;
    known.filter(close).min_by_key(|candidate| edits(word, candidate))
}

/// Levenshtein distance, by bytes.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other.bytes()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The keys a configuration struct knows: serde tells them to a deserializer before reading anything.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The error is the way out, not a failure.
    let _ = T::deserialize(FieldNames(&mut names));
    names
}

struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> serde::Deserializer<'de> for FieldNames<'_> {
    type Error = FieldsOnly;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("same", "same"), 0);
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["listen", "certificate"];
        assert_eq!(nearest("lissten", known.into_iter()), Some("listen"));
        assert_eq!(nearest("certficate", known.into_iter()), Some("certificate"));
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
