//! From TOML text to a checked [`Descriptor`], or a list of problems each with its file, line and key.

use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::descriptor::Descriptor;
use super::validate;

/// Descriptors are short texts; a longer file is something else.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// One thing that is wrong with a descriptor file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as given.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The key, dotted: `codec.signed_square.scale`, `host[0].url`. Empty for the file as a whole.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// `file:line:column: key: message`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Reads one descriptor. `file` is only a name for messages.
///
/// # Errors
/// Every semantic problem of the text, or the first one of its syntax or shape.
pub fn parse_descriptor(file: &str, text: &str) -> Result<Descriptor, Vec<Problem>> {
    let at = |span: Range<usize>, key: String, message: &str| {
        let (line, column) = position(text, span.start);
        Problem { file: file.to_owned(), line, column, key, message: one_line(message) }
    };
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes are no descriptor, {MAX_BYTES} is the limit", text.len());
        return Err(vec![at(0..0, String::new(), &message)]);
    }
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(e) => return Err(vec![at(e.span().unwrap_or(0..0), String::new(), e.message())]),
    };
    let table = document.get_ref();
    let descriptor: Descriptor = match toml::from_str(text) {
        Ok(descriptor) => descriptor,
        Err(e) => {
            let span = e.span().unwrap_or(0..0);
            let mut key = key_at(table, &span);
            if let Some(missing) = quoted(e.message(), "missing field `") {
                key = join(&key, missing);
            }
            return Err(vec![at(span, key, e.message())]);
        }
    };
    let problems = validate::check(&descriptor);
    if problems.is_empty() {
        return Ok(descriptor);
    }
    let locate = |(key, message): (String, String)| at(span_of(table, &key).unwrap_or(0..0), key, &message);
    Err(problems.into_iter().map(locate).collect())
}

/// Line and column of a byte, both from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn quoted<'m>(message: &'m str, opening: &str) -> Option<&'m str> {
    message.split_once(opening)?.1.split_once('`').map(|(name, _)| name)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The deepest key whose name or value covers the span.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> String {
    let covers = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end && !span.is_empty();
    let mut found = String::new();
    let mut table = table;
    'deeper: loop {
        for (key, value) in table {
            if !covers(key.span()) && !contains(value, span) {
                continue;
            }
            found = join(&found, key.get_ref());
            let mut value = value;
            while let DeValue::Array(items) = value.get_ref() {
                let Some((i, item)) = items.iter().enumerate().find(|(_, item)| contains(item, span)) else {
                    break;
                };
                found = format!("{found}[{i}]");
                value = item;
            }
            if let DeValue::Table(inner) = value.get_ref() {
                table = inner;
                continue 'deeper;
            }
            return found;
        }
        return found;
    }
}

/// Whether the span lies in the value. A table written under a header spans its header only, so its entries count.
fn contains(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let own = value.span();
    let inside =
        |outer: &Range<usize>| outer.start <= span.start && span.end <= outer.end && !span.is_empty();
    inside(&own)
        || match value.get_ref() {
            DeValue::Table(table) => table.iter().any(|(k, v)| inside(&k.span()) || contains(v, span)),
            DeValue::Array(items) => items.iter().any(|item| contains(item, span)),
            _ => false,
        }
}

/// Where the value of a dotted key stands; of its nearest parent where the key itself is absent.
fn span_of(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let mut span = None;
    let mut table = table;
    for part in path.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((name, rest)) => (name, rest.strip_suffix(']').and_then(|n| n.parse::<usize>().ok())),
            None => (part, None),
        };
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { break };
        span = Some(key.span());
        let mut value = value;
        if let (Some(i), DeValue::Array(items)) = (index, value.get_ref()) {
            let Some(item) = items.get(i) else { break };
            span = Some(item.span());
            value = item;
        }
        let DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    span
}
