//! The catalog for people: a table, and a page per product.

use std::fmt::Write as _;

use super::{Citation, Descriptor, Form};

/// Width of a page.
const WIDTH: usize = 100;

/// The list: a line per product under a header.
#[must_use]
pub fn table(products: &[&Descriptor]) -> String {
    let header = ["id", "kind", "dim", "dtype", "resolution", "years", "format", "licence", "access"];
    let mut lines = vec![header.map(str::to_string).to_vec()];
    lines.extend(products.iter().map(|d| cells(d)));
    let widths: Vec<usize> =
        (0..header.len()).map(|i| lines.iter().map(|l| l[i].chars().count()).max().unwrap_or(0)).collect();
    lines
        .iter()
        .map(|line| {
            let padded: Vec<String> = line.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
            format!("{}\n", padded.join("  ").trim_end())
        })
        .collect()
}

/// The same as a Markdown table, with links to the pages below it.
#[must_use]
pub fn markdown_table(products: &[&Descriptor]) -> String {
    let mut out =
        "| id | kind | dim | dtype | resolution | years | format | licence | access |\n".to_string();
    out.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for d in products {
        let mut line = cells(d);
        line[0] = format!("[{0}](#{1})", d.id, d.id.replace('.', ""));
        let _ = writeln!(out, "| {} |", line.join(" | "));
    }
    out
}

fn cells(d: &Descriptor) -> Vec<String> {
    let dash = || "–".to_string();
    let mut dims: Vec<u32> = match d.dimension {
        Some(n) => vec![n],
        None => d.variants.iter().filter_map(|v| v.dimension).collect(),
    };
    dims.sort_unstable();
    vec![
        d.id.clone(),
        d.kind.name().to_string(),
        match dims.as_slice() {
            [] => dash(),
            [one] => one.to_string(),
            [first, .., last] => format!("{first}…{last}"),
        },
        d.dtype.map_or_else(dash, |t| t.name().to_string()),
        d.resolution.map_or_else(dash, |r| r.to_string()),
        years(d).unwrap_or_else(dash),
        d.format.name().to_string(),
        d.licence.clone().unwrap_or_else(dash),
        d.access().map_or_else(dash, |a| a.name().to_string()),
    ]
}

/// `2017–2025`, or the fixed spans.
fn years(d: &Descriptor) -> Option<String> {
    let time = d.time.as_ref()?;
    if let Some([first, last]) = time.years {
        let star = if time.sparse { "*" } else { "" };
        return Some(if first == last {
            format!("{first}{star}")
        } else {
            format!("{first}–{last}{star}")
        });
    }
    let spans: Vec<String> = time.intervals.iter().map(|i| format!("{}…{}", i.start, i.end)).collect();
    (!spans.is_empty()).then(|| spans.join(", "))
}

/// One product in full.
#[must_use]
pub fn page(d: &Descriptor) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} — {}\n", d.id, d.name);
    paragraph(&mut out, "", d.summary.trim());
    out.push('\n');
    facts(d).into_iter().for_each(|(name, text)| paragraph(&mut out, &name, &text));
    for (title, list) in [("Quirks", &d.quirks), ("Looked for and not found", &d.unknown)] {
        if !list.is_empty() {
            let _ = writeln!(out, "\n{title}");
            list.iter().for_each(|item| bullet(&mut out, item));
        }
    }
    out
}

/// The page as Markdown.
#[must_use]
pub fn markdown_page(d: &Descriptor) -> String {
    let mut out = format!("## {}\n\n**{}.** {}\n\n", d.id, d.name, d.summary.trim());
    for (name, text) in facts(d) {
        let _ = writeln!(out, "* **{name}:** {text}");
    }
    if !d.quirks.is_empty() {
        let _ = writeln!(out, "\nQuirks:\n");
        d.quirks.iter().for_each(|quirk| {
            let _ = writeln!(out, "* {quirk}");
        });
    }
    if !d.unknown.is_empty() {
        let _ = writeln!(out, "\nLooked for and not found: {}.", d.unknown.join("; "));
    }
    out
}

/// What is known, as (name, text) in the order people ask.
fn facts(d: &Descriptor) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut add = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            out.push((name.to_string(), text));
        }
    };
    let numbers = d.dimension.map(|n| format!("{n} numbers"));
    let length = d.unit_length.map(|u| if u { "of length 1" } else { "not of length 1" }.to_string());
    let stored = d.dtype.map(|t| format!("stored as {}", t.name()));
    let vector: Vec<String> = [numbers, length, stored].into_iter().flatten().collect();
    add("kind", Some(format!("{}, as {}", d.kind.name(), d.format.name())));
    add("vector", (!vector.is_empty()).then(|| vector.join(", ")));
    if d.format.form() != Form::Weights {
        add("decode", Some(d.codec.to_string()));
    }
    add("missing", d.missing.map(|m| m.to_string()));
    add("resolution", d.resolution.map(|r| r.to_string()));
    add("time", time(d));
    add("extent", d.extent.as_ref().map(|e| e.text.clone()));
    add(
        "grid",
        d.grid.as_ref().map(|g| {
            let note = g.note.as_ref().map_or(String::new(), |n| format!(". {n}"));
            format!("{}; CRS: {}{note}", g.lattice.name(), g.crs)
        }),
    );
    add("files", d.tiles.as_ref().and_then(|t| t.path.clone().or_else(|| t.examples.first().cloned())));
    if let Some(t) = &d.table {
        let vector = t
            .vector_columns
            .as_ref()
            .map_or_else(|| t.vector.join(" or "), |c| format!("{} columns", c.count));
        add(
            "columns",
            Some(format!(
                "vector {vector}; geometry {}",
                if t.geometry.is_empty() { "–".into() } else { t.geometry.join(" or ") }
            )),
        );
    }
    if let Some(e) = &d.encoder {
        add("input", Some(format!("{:?}; {}", e.input, e.scaling)));
        add("network", e.network.clone());
    }
    add(
        "model",
        d.model.as_ref().map(|m| {
            let by = m.publisher.as_ref().map_or(String::new(), |p| format!(", {p}"));
            let weights = m.weights_licence.as_ref().map_or(String::new(), |l| format!(" (weights {l})"));
            format!("{}{by}{weights}", m.name)
        }),
    );
    for v in &d.variants {
        let more: Vec<String> = [
            v.note.clone(),
            v.dimension.map(|n| format!("{n} numbers")),
            v.size.clone(),
            v.path.clone().map(|p| format!("below {p}/")),
        ]
        .into_iter()
        .flatten()
        .collect();
        let default = if v.default { " (default)" } else { "" };
        add(
            "variant",
            Some(format!("{}@{}{default} {}", d.id, v.id, more.join("; ")).trim_end().to_string()),
        );
    }
    for h in &d.hosts {
        let note = h.note.as_ref().map_or(String::new(), |n| format!(". {n}"));
        add("host", Some(format!("{} ({}): {}{note}", h.name, h.access.name(), h.url)));
    }
    add("size", d.size.clone());
    let note = d.licence_note.as_ref().map_or(String::new(), |n| format!(". {n}"));
    add("licence", d.licence.as_ref().map(|l| format!("{l}{note}")));
    add("attribution", d.attribution.clone());
    for c in &d.citations {
        add("cite", Some(citation(c)));
    }
    out
}

fn time(d: &Descriptor) -> Option<String> {
    let t = d.time.as_ref()?;
    let sparse = if t.sparse { " (* not every place has every year)" } else { "" };
    let note = t.note.as_ref().map_or(String::new(), |n| format!("; {n}"));
    Some(format!("{}{}{sparse}{note}", t.scope.name(), years(d).map_or(String::new(), |y| format!(", {y}"))))
}

fn citation(c: &Citation) -> String {
    let arxiv = c.arxiv.as_ref().map(|a| format!("arXiv {a}"));
    let doi = c.doi.as_ref().map(|d| format!("doi {d}"));
    [c.title.clone(), arxiv, doi, c.url.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A name in the margin and text wrapped beside it.
fn paragraph(out: &mut String, name: &str, text: &str) {
    let indent = if name.is_empty() { 0 } else { 13 };
    for (i, line) in wrap(text, WIDTH - indent).iter().enumerate() {
        let margin = if i == 0 { name } else { "" };
        let _ = writeln!(out, "{margin:<indent$}{line}");
    }
}

fn bullet(out: &mut String, text: &str) {
    for (i, line) in wrap(text, WIDTH - 4).iter().enumerate() {
        let _ = writeln!(out, "  {} {line}", if i == 0 { "-" } else { " " });
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_string());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
