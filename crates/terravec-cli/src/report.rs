//! What went wrong, for people and for programs, and what was done.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A failure at the edge: of the engine, or of the command line.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine failed: exit 1.
    Engine(terravec::Error),
    /// An argument makes no sense: exit 2.
    Usage { what: String, help: String },
}

impl<E: Into<terravec::Error>> From<E> for Failure {
    fn from(e: E) -> Self {
        Self::Engine(e.into())
    }
}

impl Failure {
    pub(crate) fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), help: help.into() }
    }
}

/// Prints a failure and gives its exit code.
pub(crate) fn fail(failure: &Failure, json: bool) -> u8 {
    let (what, help, code) = match failure {
        Failure::Engine(e) => (e.message(), e.help(), 1),
        Failure::Usage { what, help } => (what.clone(), Some(help.clone()), 2),
    };
    if json {
        eprintln!("{}", serde_json::json!({ "error": what, "help": help, "exit": code }));
    } else {
        eprintln!("error: {what}");
        if let Some(help) = help {
            eprintln!("  help: {help}");
        }
    }
    code
}

/// A progress bar on standard error, if that is a terminal.
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    pub(crate) fn new(what: &'static str, quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} blocks, {eta} left") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    /// For a bar that counts bytes.
    pub(crate) fn bytes(&self, done: u64, all: u64) {
        if let Some(bar) = &self.0 {
            if let Ok(style) =
                ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes}, {eta} left")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_length(all);
            bar.set_position(done);
        }
    }

    pub(crate) fn set(&self, done: usize, all: usize) {
        if let Some(bar) = &self.0 {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Bar {
    /// For work whose end is not known.
    pub(crate) fn count(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Prints JSON, pretty.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) {
    println!("{}", serde_json::to_string_pretty(value).expect("plain data"));
}
